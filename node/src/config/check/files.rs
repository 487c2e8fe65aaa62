//! What the files and directories of this machine have to be like for the router to start.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::section::Field;

/// Complains unless the socket file `path`, as `field` names it, could be made.
pub(super) fn check_socket(field: &Field<'_>, path: &Path) {
    let directory = parent(path);
    if !directory.is_dir() {
        field.error(format!(
            "there is no directory {}; expected a path in one that is there",
            directory.display()
        ));
    } else if !may(&directory, Access::WRITE_OK | Access::EXEC_OK) {
        field.error(format!(
            "this user may not make files in the directory {}; expected a path in one where it may",
            directory.display()
        ));
    } else if fs::symlink_metadata(path).is_ok_and(|file| !file.file_type().is_socket()) {
        field.error(format!(
            "found {}, which is no socket; expected a path where nothing is, or a socket of an earlier run",
            path.display()
        ));
    }
}

/// Complains unless the store's `file` could be written, and made first if it is not there; as `field` names its directory.
pub(super) fn check_store(field: &Field<'_>, file: &Path) {
    let all = Access::READ_OK | Access::WRITE_OK;
    if file.is_dir() {
        field.error(format!(
            "found the directory {}; expected a store's file there",
            file.display()
        ));
    } else if file.exists() {
        if !may(file, all) {
            field.error(format!(
                "this user may not read and write {}; expected a store that it may",
                file.display()
            ));
        }
        return;
    }
    // The nearest directory that is there: the rest is made.
    let mut there = parent(file);
    while !there.exists() && there.file_name().is_some() {
        there = parent(&there);
    }
    if !there.is_dir() {
        field.error(format!(
            "found {}, which is no directory; expected a directory, or a path where one can be made",
            there.display()
        ));
    } else if !may(&there, all | Access::EXEC_OK) {
        field.error(format!(
            "this user may not make files in the directory {}; expected a path where it may",
            there.display()
        ));
    }
}

/// Complains unless there is the `file` of a store that is only read.
pub(super) fn check_readonly_store(field: &Field<'_>, file: &Path) {
    if !file.is_file() {
        field.error(format!(
            "there is no store {} that could be read; expected false, or the \"path\" of a store that a router has made",
            file.display()
        ));
    } else if !may(file, Access::READ_OK) {
        field.error(format!(
            "this user may not read {}; expected a store that it may",
            file.display()
        ));
    }
}

/// Where a file is: `.` if its path has one component.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    }
}

fn may(path: &Path, what: Access) -> bool {
    access(path, what).is_ok()
}
