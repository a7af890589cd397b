//! Finding the configuration among the directories that the host has opened.

use crate::wasi::{self, Directory};
use audit_filter_engine::config::{self, Files, Loaded};

impl Files for Directory {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Directory::read(self, path)
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, String> {
        Directory::list(self, path)
    }

    fn display(&self, path: &str) -> String {
        format!("{}/{path}", self.name.trim_end_matches('/'))
    }
}

/// Loads the configuration from the first directory that has one of its files; the defaults where none has.
pub(crate) fn load() -> Loaded {
    for directory in wasi::preopened_directories() {
        let has = |name| !matches!(Directory::read(&directory, name), Ok(None));
        if has(config::FILE_NAME) || has(config::POLICY_FILE_NAME) {
            return config::load(&directory);
        }
    }
    config::load(&config::NoFiles)
}
