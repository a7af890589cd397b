//! The few WASI calls (`wasi_snapshot_preview1`) that reading a configuration needs.
//!
//! The module is built without a C library and makes these calls itself: that keeps it small, and leaves
//! `malloc` and `free` to be its own. A host that offers nothing simply has no directories.

#![expect(unsafe_code, reason = "host calls take addresses")]

/// A WASI error number; 0 is success.
type Errno = u16;

mod host {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn fd_prestat_get(fd: u32, prestat: *mut super::Prestat) -> u32;
        pub(super) fn fd_prestat_dir_name(fd: u32, path: *mut u8, path_len: usize) -> u32;
        pub(super) fn path_open(
            fd: u32,
            dirflags: u32,
            path: *const u8,
            path_len: usize,
            oflags: u32,
            rights_base: u64,
            rights_inheriting: u64,
            fdflags: u32,
            opened: *mut u32,
        ) -> u32;
        pub(super) fn fd_read(fd: u32, iovs: *const super::IoVec, iovs_len: usize, read: *mut usize) -> u32;
        pub(super) fn fd_readdir(fd: u32, buf: *mut u8, buf_len: usize, cookie: u64, used: *mut usize)
        -> u32;
        pub(super) fn fd_close(fd: u32) -> u32;
        pub(super) fn fd_write(
            fd: u32,
            iovs: *const super::IoVec,
            iovs_len: usize,
            written: *mut usize,
        ) -> u32;
    }
}

/// `prestat`: a tag (0 is a directory) and the length of the directory's name.
#[repr(C)]
#[derive(Default)]
struct Prestat {
    tag: u32,
    name_len: u32,
}

/// `iovec` and `ciovec`
#[repr(C)]
struct IoVec {
    start: *mut u8,
    len: usize,
}

const _: () = assert!(size_of::<Prestat>() == 8);
#[cfg(target_arch = "wasm32")]
const _: () = assert!(size_of::<IoVec>() == 8);

const STDERR: u32 = 2;
const FIRST_PREOPENED: u32 = 3;
const BADF: Errno = 8;
const NOENT: Errno = 44;
const OFLAGS_DIRECTORY: u32 = 2;
const LOOKUP_SYMLINK_FOLLOW: u32 = 1;
const RIGHTS_FD_READ: u64 = 1 << 1;
const RIGHTS_FD_READDIR: u64 = 1 << 14;

/// More preopened directories than any host has. Bounds the search in one whose answer never changes.
const MAX_PREOPENED: u32 = 64;
/// Largest file read: a list of high-risk addresses is the largest that makes sense.
const MAX_FILE_BYTES: usize = 16 << 20;

/// A directory that the host opened for the module, by the name that it has there.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    fd: u32,
    /// The name, such as `.` or `/fluent-bit/etc/audit`.
    pub(crate) name: String,
}

/// The directories that the host has opened for the module.
pub(crate) fn preopened_directories() -> Vec<Directory> {
    let mut directories = Vec::new();
    for fd in FIRST_PREOPENED..FIRST_PREOPENED + MAX_PREOPENED {
        let mut prestat = Prestat::default();
        // SAFETY: `prestat` is a live, writable `Prestat` of the layout that WASI prescribes.
        let errno = unsafe { host::fd_prestat_get(fd, &raw mut prestat) } as Errno;
        match errno {
            0 if prestat.tag == 0 => {}
            BADF => break,
            _ => continue,
        }
        let mut name = vec![0; prestat.name_len as usize];
        // SAFETY: `name` is a live, writable buffer of the length given.
        let errno = unsafe { host::fd_prestat_dir_name(fd, name.as_mut_ptr(), name.len()) };
        if errno == 0 {
            // Some hosts count a terminating NUL.
            let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
            directories.push(Directory { fd, name });
        }
    }
    directories
}

/// An open file or directory, closed when dropped.
struct Handle(u32);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: takes no address.
        unsafe { host::fd_close(self.0) };
    }
}

impl Directory {
    /// The contents of a file under the directory, by its path relative to it; none where there is no such file.
    ///
    /// # Errors
    /// Says what the host answered, or that the file is larger than 16 MiB.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let Some(file) = self.open(path, 0, RIGHTS_FD_READ)? else { return Ok(None) };
        let mut contents = Vec::new();
        let mut block = vec![0; 64 << 10];
        loop {
            let iov = IoVec { start: block.as_mut_ptr(), len: block.len() };
            let mut read = 0;
            // SAFETY: one `iov` describing the live, writable `block`; `read` is a live, writable `usize`.
            let errno = unsafe { host::fd_read(file.0, &raw const iov, 1, &raw mut read) } as Errno;
            check(errno, "read")?;
            if read == 0 {
                return Ok(Some(contents));
            }
            contents.extend_from_slice(block.get(..read).unwrap_or_default());
            if contents.len() > MAX_FILE_BYTES {
                return Err(format!("larger than {MAX_FILE_BYTES} bytes"));
            }
        }
    }

    /// The names of what stands in a directory under this one, sorted; none where there is no such directory.
    ///
    /// # Errors
    /// Says what the host answered.
    pub(crate) fn list(&self, path: &str) -> Result<Option<Vec<String>>, String> {
        let Some(dir) = self.open(path, OFLAGS_DIRECTORY, RIGHTS_FD_READDIR)? else { return Ok(None) };
        let mut names = Vec::new();
        let mut block = vec![0; 64 << 10];
        let mut cookie = 0;
        loop {
            let mut used = 0;
            // SAFETY: `block` is a live, writable buffer of the length given; `used` is a live, writable `usize`.
            let errno =
                unsafe { host::fd_readdir(dir.0, block.as_mut_ptr(), block.len(), cookie, &raw mut used) }
                    as Errno;
            check(errno, "list")?;
            let entries = block.get(..used).unwrap_or_default();
            let before = cookie;
            read_entries(entries, &mut cookie, &mut names);
            if used < block.len() || cookie == before {
                names.retain(|name| name != "." && name != "..");
                names.sort();
                return Ok(Some(names));
            }
        }
    }

    fn open(&self, path: &str, oflags: u32, rights: u64) -> Result<Option<Handle>, String> {
        let mut fd = 0;
        let path = if path.is_empty() { "." } else { path };
        // SAFETY: `path` is a live slice of the length given; `fd` is a live, writable `u32`.
        let errno = unsafe {
            host::path_open(
                self.fd,
                LOOKUP_SYMLINK_FOLLOW,
                path.as_ptr(),
                path.len(),
                oflags,
                rights,
                0,
                0,
                &raw mut fd,
            )
        } as Errno;
        if errno == NOENT {
            return Ok(None);
        }
        check(errno, "open")?;
        Ok(Some(Handle(fd)))
    }
}

/// A `dirent` is a cookie (8 bytes), an inode (8), the length of the name (4) and a type (1, padded to 4),
/// then the name.
fn read_entries(mut entries: &[u8], cookie: &mut u64, names: &mut Vec<String>) {
    while let Some((head, rest)) = entries.split_first_chunk::<24>() {
        let [c0, c1, c2, c3, c4, c5, c6, c7, _, _, _, _, _, _, _, _, n0, n1, n2, n3, ..] = *head;
        let name_len = u32::from_le_bytes([n0, n1, n2, n3]) as usize;
        let Some((name, rest)) = rest.split_at_checked(name_len) else { return };
        *cookie = u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]);
        names.push(String::from_utf8_lossy(name).into_owned());
        entries = rest;
    }
}

fn check(errno: Errno, doing: &str) -> Result<(), String> {
    match errno {
        0 => Ok(()),
        2 | 76 => Err(format!("cannot {doing} it: permission denied")),
        other => Err(format!("cannot {doing} it: the host answered WASI error {other}")),
    }
}

/// Writes a line to standard error, which collectors show in their own log. Failing to is nobody's business.
pub(crate) fn print_error(line: &str) {
    let mut line = format!("{line}\n").into_bytes();
    let iov = IoVec { start: line.as_mut_ptr(), len: line.len() };
    let mut written = 0;
    // SAFETY: one `iov` describing the live `line`, which the host only reads; `written` is live and writable.
    unsafe { host::fd_write(STDERR, &raw const iov, 1, &raw mut written) };
}
