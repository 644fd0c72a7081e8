//! System calls that this process will never make, and that whoever got hold of it would like to.
//!
//! A list of what is refused and not of what is allowed: the latter changes with libraries and kernels, and a
//! call too few would end tunnels. What counts most is that no program can be started: without that, and
//! without capabilities beyond the network's, little can be done to the host.

#![allow(unsafe_code)]

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter, sock_fprog,
};
use std::io;

/// Refuses them from now on, in this thread and those that it begins. The process must not be able to gain
/// privileges any more; where the kernel has no filters, or none for this processor, it says so.
pub fn refuse_dangerous_calls() -> io::Result<()> {
    let mut program = program()?;
    let filter = sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the kernel reads a program of this length while it is called, and keeps nothing of it.
    let result = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::c_ulong::from(libc::SECCOMP_MODE_FILTER), &raw const filter)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Programs and what gets around them; other processes; the kernel itself; file systems; clocks and names; and
/// ways into the kernel that have often been too wide.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_personality,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] =
    &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_kexec_file_load];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// How the kernel names this processor.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
    Some(0xc000_00b7)
} else {
    None
};

/// Where the kernel puts what a filter looks at.
const NUMBER: u32 = 0;
const PROCESSOR: u32 = 4;
/// The lower half of the first argument, on the processors above.
const FIRST_ARGUMENT: u32 = 16;

/// Calls from here on are those of the other ABI of x86-64, which has numbers of its own for everything.
const OTHER_ABI: u32 = 0x4000_0000;

const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u32;

fn program() -> io::Result<Vec<sock_filter>> {
    let architecture = ARCHITECTURE.ok_or(io::ErrorKind::Unsupported)?;
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let mut program = vec![
        load(PROCESSOR),
        jump(BPF_JEQ, architecture, 1, 0),
        ret(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
        jump(BPF_JGE, OTHER_ABI, 0, 1),
        ret(refuse),
    ];
    for number in REFUSED.iter().chain(REFUSED_HERE) {
        program.push(jump(BPF_JEQ, call(*number)?, 0, 1));
        program.push(ret(refuse));
    }
    // Its flags are out of a filter's reach; who is told that there is no such call makes the older one.
    program.push(jump(BPF_JEQ, call(libc::SYS_clone3)?, 0, 1));
    program.push(ret(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32));
    program.push(jump(BPF_JEQ, call(libc::SYS_clone)?, 0, 3));
    program.push(load(FIRST_ARGUMENT));
    program.push(jump(BPF_JSET, NAMESPACES, 0, 1));
    program.push(ret(refuse));
    program.push(ret(libc::SECCOMP_RET_ALLOW));
    Ok(program)
}

fn call(number: libc::c_long) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

/// Skips so many instructions if it is so, and so many if not.
fn jump(how: u32, value: u32, if_so: u8, if_not: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | how | BPF_K) as u16, jt: if_so, jf: if_not, k: value }
}

fn ret(verdict: u32) -> sock_filter {
    sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: verdict }
}
