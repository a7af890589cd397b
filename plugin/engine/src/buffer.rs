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

    #[cold]
    #[inline(never)]
    fn push_growing(&mut self, piece: &[u8]) {
        self.bytes.truncate(self.length);
        self.bytes.extend_from_slice(piece);
        self.length = self.bytes.len();
        self.bytes.resize(self.length * 2, 0);
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
    }
}
