//! Bytes put together of many small pieces.
//!
//! Where the module is interpreted, a call costs as much as some thirty other instructions, and a `Vec` makes one for every
//! piece, to see whether there is room. A [`Buffer`] looks for itself.

/// Bytes to which pieces are appended, kept from event to event.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// The first of these are what has been put together; what follows is room.
    bytes: Vec<u8>,
    length: usize,
}

impl Buffer {
    /// Forgets what has been put together, and keeps the room.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    /// How much has been put together.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// What has been put together.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The same, to be changed.
    #[inline(always)]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }

    /// Appends a piece.
    #[inline(always)]
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.push_both([], piece);
    }

    /// Appends a piece whose length is known when this is compiled, and another.
    #[inline(always)]
    pub(crate) fn push_both<const N: usize>(&mut self, head: [u8; N], piece: &[u8]) {
        let length = N + piece.len();
        let room = self.bytes.get_mut(self.length..).and_then(|room| room.get_mut(..length));
        match room.and_then(|room| room.split_first_chunk_mut()) {
            Some((room_for_head, room)) if room.len() == piece.len() => {
                *room_for_head = head;
                room.copy_from_slice(piece);
                self.length += length;
            }
            _ => {
                self.push_growing(&head);
                self.push_growing(piece);
            }
        }
    }

    /// Appends five numbers, and a piece.
    #[inline(always)]
    pub(crate) fn push_numbers(&mut self, numbers: [u64; 5], piece: &[u8]) {
        let length = 40 + piece.len();
        let room = self.bytes.get_mut(self.length..).and_then(|room| room.get_mut(..length));
        match room.and_then(|room| room.split_first_chunk_mut::<40>()) {
            Some((head, room)) if room.len() == piece.len() => {
                for (place, number) in head.as_chunks_mut().0.iter_mut().zip(&numbers) {
                    *place = number.to_le_bytes();
                }
                room.copy_from_slice(piece);
                self.length += length;
            }
            _ => {
                numbers.iter().for_each(|number| self.push_growing(&number.to_le_bytes()));
                self.push_growing(piece);
            }
        }
    }

    /// Has `write` put something else together, and again where it is short of room, with more.
    #[inline(always)]
    pub(crate) fn write<T>(&mut self, write: impl Fn(&mut Room<'_>) -> Result<T, Short>) -> T {
        loop {
            let mut room = Room(&mut self.bytes);
            if let Ok(result) = write(&mut room) {
                let left = room.0.len();
                self.length = self.bytes.len() - left;
                return result;
            }
            self.grow();
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let length = (2 * self.bytes.len()).max(LEAST_ROOM);
        self.bytes.resize(length, 0);
    }

    #[cold]
    #[inline(never)]
    fn push_growing(&mut self, piece: &[u8]) {
        self.bytes.truncate(self.length);
        self.bytes.extend_from_slice(piece);
        self.length = self.bytes.len();
        self.bytes.resize(self.length * 2, 0);
    }
}

/// How much room there is at least for what is [written](Buffer::write).
const LEAST_ROOM: usize = 1024;

/// What is left of a buffer's room: the length of what has been put together need not be kept in memory meanwhile, nor what
/// is to be done where there is too little.
pub(crate) struct Room<'b>(&'b mut [u8]);

/// Too little room is left.
pub(crate) struct Short;

impl Room<'_> {
    /// Appends a piece.
    #[inline(always)]
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), Short> {
        let (place, rest) = self.take().0.split_at_mut_checked(piece.len()).ok_or(Short)?;
        place.copy_from_slice(piece);
        self.0 = rest;
        Ok(())
    }

    /// Has a function write that takes what is left and gives back what it leaves. (What is lent to none can be kept in
    /// locals.)
    #[inline(always)]
    pub(crate) fn hand_on(&mut self, write: impl FnOnce(Self) -> Result<Self, Short>) -> Result<(), Short> {
        *self = write(self.take())?;
        Ok(())
    }

    #[inline(always)]
    fn take(&mut self) -> Self {
        Self(std::mem::take(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::Buffer;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_buffer_holds_what_a_vector_would(
            pieces in prop::collection::vec(prop::option::weighted(0.9, prop::collection::vec(any::<u8>(), 0..40)), 0..60)
        ) {
            let (mut buffer, mut vector) = (Buffer::default(), Vec::new());
            for piece in pieces {
                match piece {
                    Some(piece) if piece.len() % 2 == 0 => {
                        buffer.push(&piece);
                        vector.extend_from_slice(&piece);
                    }
                    Some(piece) => {
                        buffer.push_both(*b"head", &piece);
                        vector.extend_from_slice(b"head");
                        vector.extend_from_slice(&piece);
                    }
                    None => {
                        buffer.clear();
                        vector.clear();
                    }
                }
                prop_assert_eq!(buffer.bytes(), &*vector);
                prop_assert_eq!(buffer.bytes_mut(), &mut *vector);
                prop_assert_eq!(buffer.len(), vector.len());
            }
        }

        #[test]
        fn what_is_written_replaces_what_was(
            texts in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..20), 1..5)
        ) {
            let mut buffer = Buffer::default();
            for pieces in texts {
                let count = buffer.write(|out| {
                    pieces.iter().try_for_each(|piece| out.push(piece))?;
                    Ok(pieces.len())
                });
                prop_assert_eq!(count, pieces.len());
                prop_assert_eq!(buffer.bytes(), pieces.concat());
            }
        }
    }
}
