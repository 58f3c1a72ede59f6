//! Each symbol notes itself and does what libc does; an allocator may call it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::CString;
use std::mem::zeroed;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::ptr::null;

use super::*;
use crate::{Log, watch};

/// Counts, and reads a clock if it is told to, as allocators do that give
/// memory back after a time.
struct Allocator;

thread_local! {
    static ALLOCATIONS: Cell<u32> = const { Cell::new(0) };
    static READS_CLOCK: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: all memory is the system's.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        if READS_CLOCK.get() {
            // SAFETY: libc takes a null, too.
            unsafe { gettimeofday(null_mut(), null_mut()) };
        }
        // SAFETY: the caller promises what the system asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: it came from the system, with that layout.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn called(body: impl FnOnce()) -> Vec<&'static str> {
    let log = Log::new();
    let _here = log.here();
    watch("turn", body);
    log.take().into_iter().map(|finding| finding.function).collect()
}

#[test]
fn a_call_is_noted_without_an_allocation() {
    let mut allocations = u32::MAX;
    let called = called(|| {
        let before = ALLOCATIONS.get();
        // SAFETY: libc takes a null, too.
        unsafe { gettimeofday(null_mut(), null_mut()) };
        allocations = ALLOCATIONS.get() - before;
    });
    assert_eq!((called, allocations), (vec!["gettimeofday"], 0));
}

#[test]
fn an_allocator_that_reads_a_clock_is_no_circle() {
    let called = called(|| {
        READS_CLOCK.set(true);
        drop(std::hint::black_box(vec![1, 2, 3]));
        READS_CLOCK.set(false);
    });
    assert_eq!(called, ["gettimeofday"]);
}

#[test]
fn clocks_tell_the_time() {
    // SAFETY: zeros are a time, and the pointers are to places of that type.
    let (seconds, time, value) = unsafe {
        let (mut time_spec, mut time_val): (timespec, timeval) = (zeroed(), zeroed());
        assert_eq!(clock_gettime(libc::CLOCK_REALTIME, &raw mut time_spec), 0);
        assert_eq!(gettimeofday(&raw mut time_val, null_mut()), 0);
        (time(null_mut()), time_spec.tv_sec, time_val.tv_sec)
    };
    assert!(seconds > 1_700_000_000 && (seconds - time).abs() < 60 && (seconds - value).abs() < 60);
}

#[test]
fn variables_and_chance_come_from_libc() {
    let seen = called(|| {
        // SAFETY: the names end with a zero; no test changes the environment.
        let path = unsafe { (getenv(c"PATH".as_ptr()), secure_getenv(c"NO_SUCH".as_ptr())) };
        assert!(!path.0.is_null() && path.1.is_null());
        let mut bytes = [0_u8; 16];
        // SAFETY: there is room for so many bytes.
        let count = unsafe { getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        assert!(count == 16 && bytes != [0; 16]);
    });
    assert_eq!(seen, ["getenv", "secure_getenv", "getrandom"]);
}

/// The mode is the argument that C passes as a variadic one.
#[test]
fn a_file_is_made_with_the_mode_that_was_given() {
    let folder = std::env::temp_dir().join(format!("workflow-sanitize-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| CString::new(folder.join(name).as_os_str().as_bytes()).unwrap();
    let (a, b, c, d) = (path("a"), path("b"), path("c"), path("d"));
    let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC;
    let here = libc::AT_FDCWD;
    let mut files = Vec::new();
    let seen = called(|| {
        // SAFETY: the paths end with a zero.
        files = unsafe {
            vec![
                open(a.as_ptr(), flags, 0o600),
                open64(b.as_ptr(), flags, 0o400),
                openat(here, c.as_ptr(), flags, 0o500),
                openat64(here, d.as_ptr(), flags, 0o700),
            ]
        };
    });
    for (file, (name, mode)) in
        files.into_iter().zip([("a", 0o600), ("b", 0o400), ("c", 0o500), ("d", 0o700)])
    {
        let found = std::fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
        // SAFETY: it was opened above and is used no more.
        assert_eq!(unsafe { libc::close(file) }, 0);
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(seen, ["open", "open64", "openat", "openat64"]);
}

#[test]
fn an_error_of_libc_is_handed_on_with_its_number() {
    let seen = called(|| {
        // SAFETY: the path ends with a zero.
        let opened = unsafe { open(c"/no/such/file".as_ptr(), libc::O_RDONLY, 0) };
        assert_eq!((opened, errno()), (-1, Some(libc::ENOENT)));
        // SAFETY: nothing is read of an address that has no length.
        let connected = unsafe { connect(-1, null(), 0) };
        assert_eq!((connected, errno()), (-1, Some(libc::EBADF)));
        // SAFETY: sockets of no family are refused.
        let made = unsafe { socket(-1, 0, 0) };
        assert!(made == -1 && errno().is_some());
    });
    assert_eq!(seen, ["open", "connect", "socket"]);
}

#[test]
fn names_are_looked_up() {
    let mut found = null_mut();
    let seen = called(|| {
        // SAFETY: the name ends with a zero; no service and no hints are asked for.
        let looked = unsafe { getaddrinfo(c"127.0.0.1".as_ptr(), null(), null(), &raw mut found) };
        assert_eq!(looked, 0);
    });
    // SAFETY: it was found above and is used no more.
    unsafe { libc::freeaddrinfo(found) };
    assert_eq!(seen, ["getaddrinfo"]);
}

#[test]
fn what_libc_does_not_have_is_missing() {
    let missing = Next::new(c"no_such_function_of_libc");
    assert!(missing.address().is_null());
    assert_eq!((not_there(-1), errno()), (-1, Some(libc::ENOSYS)));
}

fn errno() -> Option<i32> {
    std::io::Error::last_os_error().raw_os_error()
}
