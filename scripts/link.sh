# Sourced by needs.sh: links Rust programs where there is no C compiler to do it, on Linux with glibc 2.34 or newer (Debian 12).
# rustc brings a linker, and the C library is there for all other programs to run. What is missing are the names under
# which a linker looks for libraries, and the few instructions with which a program starts.

# The directory of a shared library that programs here use.
library_dir() {
  local dir
  for dir in "/lib/$(uname -m)-linux-gnu" "/usr/lib/$(uname -m)-linux-gnu" /lib64 /usr/lib64 /lib /usr/lib; do
    [ -e "$dir/$1" ] && { echo "$dir"; return; }
  done
  return 1
}

# link_by_rust DIR: keeps what it takes in DIR and has cargo link with it.
link_by_rust() {
  local dir loader library found
  case "$(uname -m)" in
    x86_64) loader=/lib64/ld-linux-x86-64.so.2 ;;
    aarch64) loader=/lib/ld-linux-aarch64.so.1 ;;
    *) return 1 ;;
  esac
  [ -e "$loader" ] || return 1
  mkdir -p "$1"
  dir="$(cd "$1" && pwd)"
  for library in libc.so.6 libm.so.6 libdl.so.2 librt.so.1 libpthread.so.0 libutil.so.1 libgcc_s.so.1; do
    found="$(library_dir "$library")" || return 1
    ln -sf "$found/$library" "$dir/${library%.so.*}.so"
  done
  cat >"$dir/start.rs" <<'RUST'
#![no_std]
#![crate_type = "lib"]
// What the C library's crt1.o does: it hands `main` and the arguments on the stack over to the library.
// `main` is weak, for libraries have none.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start", ".weak main", "_start:", "xor %ebp, %ebp", "mov %rdx, %r9", "pop %rsi", "mov %rsp, %rdx", "and $-16, %rsp",
    "push %rax", "push %rsp", "xor %r8d, %r8d", "xor %ecx, %ecx", "mov main@GOTPCREL(%rip), %rdi",
    "call *__libc_start_main@GOTPCREL(%rip)", "hlt",
    options(att_syntax)
);
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start", ".weak main", "_start:", "mov x29, #0", "mov x30, #0", "mov x5, x0", "ldr x1, [sp]", "add x2, sp, #8",
    "mov x6, sp", "adrp x0, :got:main", "ldr x0, [x0, :got_lo12:main]", "mov x3, #0", "mov x4, #0",
    "bl __libc_start_main", "brk #1"
);
RUST
  rustc --edition 2024 --emit=obj -o "$dir/start.o" "$dir/start.rs" || return 1
  RUSTFLAGS="${RUSTFLAGS:-} -C linker=rust-lld -C linker-flavor=ld.lld -C link-arg=$dir/start.o"
  RUSTFLAGS+=" -C link-arg=-dynamic-linker=$loader -L native=$dir"
  export RUSTFLAGS
}
