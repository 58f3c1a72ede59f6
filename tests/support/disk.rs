//! A small disk of a test's own: a file with a file system in it, mounted.
//! Linux, as root.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Says that a test was skipped, and why. With `WORKFLOW_NO_SKIP=1` that is a
/// failure: a test that is always skipped is none.
///
/// # Panics
///
/// Where nothing may be skipped.
#[expect(clippy::print_stdout, clippy::panic, reason = "how a test says it")]
pub fn skip(reason: &str) {
    if std::env::var("WORKFLOW_NO_SKIP").is_ok_and(|value| value == "1") {
        panic!("skipped, and nothing may be: {reason}");
    }
    println!("skipped: {reason}");
}

/// A mounted disk; unmounted and gone with the test.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

impl Disk {
    /// A new disk of that many megabytes, whose file system writes back only
    /// when it is asked to.
    ///
    /// # Errors
    ///
    /// Why there is none: most often, no root.
    pub fn new(megabytes: u64) -> Result<Self, String> {
        let disk = Self { folder: tempfile::tempdir().map_err(|error| error.to_string())? };
        // A server of another user may write to it.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(disk.folder.path(), open).map_err(|error| error.to_string())?;
        let image = File::create(disk.image()).map_err(|error| error.to_string())?;
        image.set_len(megabytes << 20).map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q", "-F", text(&disk.image())])?;
        disk.mount().map_err(|error| format!("a disk of its own needs Linux and root: {error}"))?;
        Ok(disk)
    }

    /// What another disk holds at this moment, as after a power cut: what was
    /// not written back is lost. Nobody may write to it meanwhile: a copy takes
    /// time, a cut takes none.
    ///
    /// # Errors
    ///
    /// It cannot be copied or mounted.
    pub fn cut(of: &Self) -> Result<Self, String> {
        let disk = Self { folder: tempfile::tempdir().map_err(|error| error.to_string())? };
        run("cp", &["--sparse=always", text(&of.image()), text(&disk.image())])?;
        disk.mount()?;
        Ok(disk)
    }

    /// With the longest pause between commits of its journal: what nobody synced
    /// is not on the disk by luck.
    fn mount(&self) -> Result<(), String> {
        let root = self.root();
        std::fs::create_dir(&root).map_err(|error| error.to_string())?;
        run("mount", &["-o", "loop,commit=60", text(&self.image()), text(&root)])
    }

    /// Makes it read-only, or writable again.
    ///
    /// # Errors
    ///
    /// It cannot be mounted again.
    pub fn set_read_only(&self, read_only: bool) -> Result<(), String> {
        let how = if read_only { "remount,ro" } else { "remount,rw" };
        run("mount", &["-o", how, text(&self.root())])
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let root = self.root();
        // Lazily, where something still has a file open on it.
        if run("umount", &[text(&root)]).is_err() {
            let _gone = run("umount", &["-l", text(&root)]);
        }
    }
}
