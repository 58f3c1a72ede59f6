//! The symbols of libc that are watched, each defined once more: a call notes
//! itself and goes on to libc. The only module with unsafe code.
//!
//! Nothing here allocates, panics or waits: allocators call these functions, and
//! whoever calls them from C cannot be unwound through.

#![expect(unsafe_code, reason = "functions of libc take pointers; their symbols are defined here")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{
    addrinfo, clockid_t, mode_t, pthread_attr_t, pthread_t, size_t, sockaddr, socklen_t, ssize_t,
    time_t, timespec, timeval,
};

use crate::Kind;
use crate::stack::Function;
use crate::watch::note;

/// Writes the return addresses of this thread's stack, innermost first; gives
/// how many there are.
pub(crate) fn trace(frames: &mut [usize]) -> usize {
    let mut len = 0;
    let each = |frame: &backtrace::Frame| match frames.get_mut(len) {
        Some(place) => {
            *place = frame.ip().expose_provenance();
            len += 1;
            true
        }
        None => false,
    };
    // SAFETY: only Windows has a library for it that two threads must not enter
    // at once. Here each thread walks its own stack.
    unsafe { backtrace::trace_unsynchronized(each) };
    len
}

/// A function of libc that one of this module stands before.
struct Next {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Next {
    const fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(null_mut()) }
    }

    /// Null if libc has no such function.
    fn address(&self) -> *mut c_void {
        let known = self.address.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: the name ends with a zero. Two threads find the same address.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

/// What an older libc without that function would say.
fn not_there<T>(result: T) -> T {
    // SAFETY: the place of this thread's `errno` is valid as long as the thread.
    unsafe { *libc::__errno_location() = libc::ENOSYS };
    result
}

/// Defines functions of libc. `as` is the type to call libc's with, if it has
/// another one there.
macro_rules! before_libc {
    ($(
        $kind:ident: $name:ident($($arg:ident: $type:ty),*) -> $result:ty
        $(, as $there:ty)?, or $missing:expr;
    )*) => {$(
        /// # Safety
        ///
        /// As libc's: nothing is done with the arguments but to hand them on.
        // A stack begins with it, by its name.
        #[inline(never)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            static NEXT: Next = Next::new(match CStr::from_bytes_with_nul(
                concat!(stringify!($name), "\0").as_bytes(),
            ) {
                Ok(name) => name,
                Err(_) => c"",
            });
            note(Function { name: stringify!($name), kind: Kind::$kind });
            let next = NEXT.address();
            if next.is_null() {
                return not_there($missing);
            }
            type There = before_libc!(@type $($there)?, ($($type),*) -> $result);
            // SAFETY: libc's function of that name has that type.
            let next = unsafe { transmute::<*mut c_void, There>(next) };
            // SAFETY: the caller promises what libc asks for.
            unsafe { next($($arg),*) }
        }
    )*};
    (@type , ($($type:ty),*) -> $result:ty) => { unsafe extern "C" fn($($type),*) -> $result };
    (@type $there:ty, $($rest:tt)*) => { $there };
}

/// With `mode` if the flags ask for it. In C they are variadic; Rust can call
/// such functions and not define them. On every platform of glibc a variadic
/// `mode_t` comes where a named one would; where the caller gave none, whatever
/// is there goes to libc, which does not look at it.
type Open = unsafe extern "C" fn(*const c_char, c_int, ...) -> c_int;
type OpenAt = unsafe extern "C" fn(c_int, *const c_char, c_int, ...) -> c_int;
type Main = extern "C" fn(*mut c_void) -> *mut c_void;

before_libc! {
    Clock: clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int, or -1;
    Clock: gettimeofday(time: *mut timeval, zone: *mut c_void) -> c_int, or -1;
    Clock: time(time: *mut time_t) -> time_t, or -1;
    Random: getrandom(bytes: *mut c_void, count: size_t, flags: u32) -> ssize_t, or -1;
    Environment: getenv(name: *const c_char) -> *mut c_char, or null_mut();
    Environment: secure_getenv(name: *const c_char) -> *mut c_char, or null_mut();
    File: open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int, as Open, or -1;
    File: open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int, as Open, or -1;
    File: openat(
        folder: c_int, path: *const c_char, flags: c_int, mode: mode_t
    ) -> c_int, as OpenAt, or -1;
    File: openat64(
        folder: c_int, path: *const c_char, flags: c_int, mode: mode_t
    ) -> c_int, as OpenAt, or -1;
    Socket: socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int, or -1;
    Socket: connect(socket: c_int, to: *const sockaddr, len: socklen_t) -> c_int, or -1;
    Socket: getaddrinfo(
        node: *const c_char,
        service: *const c_char,
        hints: *const addrinfo,
        found: *mut *mut addrinfo
    ) -> c_int, or libc::EAI_SYSTEM;
    Thread: pthread_create(
        thread: *mut pthread_t,
        how: *const pthread_attr_t,
        main: Main,
        argument: *mut c_void
    ) -> c_int, or libc::ENOSYS;
}

#[cfg(test)]
mod tests;
