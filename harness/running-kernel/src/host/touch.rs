//! A read that survives SIGBUS, as the kernel's own accesses to user memory survive faults: the
//! handler moves the program counter from the one load that may fault to where that is dealt with.
//! No long jump, no thread-local state: any number of threads may be in it.

use std::io;
use std::mem;
use std::ptr;
use std::sync::OnceLock;

use libc::{c_int, c_void, siginfo_t, ucontext_t};

use super::{HostError, succeeded};

/// What a touch found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// The word there.
    Word(u64),
    /// The page is beyond the end of the file, or could not be read.
    Bus,
}

/// In two registers in either ABI.
#[repr(C)]
#[derive(Clone, Copy)]
struct Pair {
    word: u64,
    bus: u64,
}

// Each has a cache line of its own, as `.cargo/config.toml` gives to all functions that are not
// assembly: where the linker puts it must not show.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .text.faultaround_host_touch,\"ax\",@progbits",
    ".p2align 6",
    ".globl faultaround_host_touch",
    ".hidden faultaround_host_touch",
    ".type faultaround_host_touch,@function",
    ".globl faultaround_host_landing",
    ".hidden faultaround_host_landing",
    ".type faultaround_host_landing,@function",
    "faultaround_host_touch:",
    // The handler knows this load by the function's address.
    "mov rax, qword ptr [rdi]",
    "xor edx, edx",
    "ret",
    "faultaround_host_landing:",
    "xor eax, eax",
    "mov edx, 1",
    "ret",
    ".size faultaround_host_touch, . - faultaround_host_touch",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .text.faultaround_host_touch,\"ax\",@progbits",
    ".p2align 6",
    ".globl faultaround_host_touch",
    ".hidden faultaround_host_touch",
    ".type faultaround_host_touch,@function",
    ".globl faultaround_host_landing",
    ".hidden faultaround_host_landing",
    ".type faultaround_host_landing,@function",
    "faultaround_host_touch:",
    // The handler knows this load by the function's address.
    "ldr x0, [x0]",
    "mov x1, xzr",
    "ret",
    "faultaround_host_landing:",
    "mov x0, xzr",
    "mov x1, #1",
    "ret",
    ".size faultaround_host_touch, . - faultaround_host_touch",
    ".popsection",
);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe extern "C" {
    /// Its first instruction is the load.
    fn faultaround_host_touch(address: *const u64) -> Pair;
    /// Not to be called: where a touch goes on whose load faulted. The stack and the return address
    /// are there as the load found them.
    fn faultaround_host_landing();
}

/// For the others, where [`install`] fails and nothing is ever mapped to be touched.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn faultaround_host_touch(address: *const u64) -> Pair {
    // SAFETY: the caller's, who has a mapping there.
    let word = unsafe { address.read_volatile() };
    Pair { word, bus: 0 }
}

/// Reads the word at an address.
///
/// # Safety
///
/// The address is aligned and in a readable mapping, of a file perhaps that has been truncated.
/// [`install`] has succeeded, or what is beyond the end of the file ends the process.
#[inline]
pub(super) unsafe fn touch(address: *const u64) -> Touched {
    // SAFETY: the address is readable; if the file has nothing there, the handler takes care of it.
    let pair = unsafe { faultaround_host_touch(address) };
    if pair.bus == 0 {
        Touched::Word(pair.word)
    } else {
        Touched::Bus
    }
}

/// Installs the handler, the first time that it's called. [`Mapping`](super::Mapping)s do it
/// themselves.
///
/// A SIGBUS that no touch caused ends the process as it would have without the handler; what was
/// installed before (Rust's own looks for stack overflows, which are a SIGSEGV on Linux) is gone.
///
/// # Errors
///
/// An architecture whose touch isn't written; a kernel that refuses.
pub fn install() -> Result<(), HostError> {
    // An error that happened once is told each time, and io::Error can't be cloned.
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Err(HostError::Architecture {
            arch: std::env::consts::ARCH,
        });
    }
    let installed = INSTALLED.get_or_init(|| {
        set_handler().map_err(|error| error.raw_os_error().unwrap_or(libc::EINVAL))
    });
    installed.map_err(|errno| HostError::Signal(io::Error::from_raw_os_error(errno)))
}

fn set_handler() -> io::Result<()> {
    // SAFETY: all of the structure are integers and an optional function, for which zeroes are
    // fine.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_sigbus;
    action.sa_sigaction = handler as usize;
    // Threads have an alternate stack from the standard library.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the mask is ours.
    unsafe { libc::sigemptyset(&mut action.sa_mask) };
    // SAFETY: the handler takes what SA_SIGINFO passes, and calls only what a handler may call.
    succeeded(unsafe { libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) })?;
    Ok(())
}

extern "C" fn on_sigbus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a siginfo, since the handler was installed with SA_SIGINFO.
    let code = unsafe { (*info).si_code };
    // Memory that is broken has another code, and so has what kill() sends.
    if code == libc::BUS_ADRERR {
        // SAFETY: the kernel passes the context of the interrupted thread, which is this one and
        // will not go on before this returns.
        let context = unsafe { &mut *context.cast::<ucontext_t>() };
        if goes_on(context) {
            return;
        }
    }
    // SAFETY: may be called in a handler.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // What faulted faults again once this returns. What was only sent has to be sent again; it
    // waits until the handler is left.
    if code <= 0 {
        // SAFETY: may be called in a handler.
        unsafe { libc::raise(signal) };
    }
}

/// Sends a thread that stopped at the touch's load to the landing; whether it had.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn goes_on(context: &mut ucontext_t) -> bool {
    #[cfg(target_arch = "x86_64")]
    let pc = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    #[cfg(target_arch = "aarch64")]
    let pc = &mut context.uc_mcontext.pc;
    let load = faultaround_host_touch as *const () as usize;
    let landing = faultaround_host_landing as *const () as usize;
    if *pc as usize != load {
        return false;
    }
    *pc = landing as _;
    true
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn goes_on(_: &mut ucontext_t) -> bool {
    false
}
