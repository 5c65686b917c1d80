//! Small guests that the benchmarks run. Each benchmark takes some of them.
#![expect(dead_code, reason = "each benchmark takes some of them")]

/// Does nothing.
pub(crate) const EMPTY: &str = r#"(module (memory (export "memory") 2) (func (export "_start")))"#;

/// Writes 1 KiB to standard output.
pub(crate) const STDOUT: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\10\00\00\00\00\04\00\00")
  (func (export "_start") (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// The same, and touches 100 KiB of its memory.
pub(crate) const TOUCHED: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "\10\00\00\00\00\04\00\00")
  (func (export "_start") (local $at i32)
    (local.set $at (i32.const 65536))
    (loop $next
      (i32.store (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 167936))))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// Copies 1 KiB from `/in/x` to `/out/x`.
pub(crate) const COPY: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\00\10\00\00\00\10\00\00") (data (i32.const 16) "in/x") (data (i32.const 32) "out/x")
  (func (export "_start")
    (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 48)))
    (drop (call $fd_read (i32.load (i32.const 48)) (i32.const 0) (i32.const 1) (i32.const 56)))
    (i32.store (i32.const 4) (i32.load (i32.const 56)))
    (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 5) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 48)))
    (drop (call $fd_write (i32.load (i32.const 48)) (i32.const 0) (i32.const 1) (i32.const 56)))))"#;

/// Computes until it is stopped.
pub(crate) const SPIN: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "_start") (local $x i64)
    (loop $on
      (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 6364136223846793005)) (i64.const 1)))
      (i64.store (i32.const 8) (local.get $x))
      (br $on))))"#;

/// Opens and closes `/in/x` 100,000 times.
pub(crate) const CALLS: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "in/x")
  (func (export "_start") (local $left i32)
    (local.set $left (i32.const 100000))
    (loop $next
      (if (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0)
        (i32.const 0) (i32.const 48)) (then unreachable))
      (if (call $close (i32.load (i32.const 48))) (then unreachable))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;

/// Reads 64 bytes of `/in/x` 100,000 times.
pub(crate) const READS: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $read (param i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\10\00\00\40\00\00\00") (data (i32.const 16) "in/x")
  (func (export "_start") (local $left i32)
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0)
      (i32.const 0) (i32.const 48)) (then unreachable))
    (local.set $left (i32.const 100000))
    (loop $next
      (if (call $read (i32.load (i32.const 48)) (i32.const 0) (i32.const 1) (i64.const 128) (i32.const 56))
        (then unreachable))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;

/// Reads all of `/in/x` in pieces of 64 KiB.
pub(crate) const WHOLE: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 3)
  (data (i32.const 0) "\00\00\01\00\00\00\01\00") (data (i32.const 16) "in/x")
  (func (export "_start")
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0)
      (i32.const 0) (i32.const 48)) (then unreachable))
    (loop $next
      (if (call $read (i32.load (i32.const 48)) (i32.const 0) (i32.const 1) (i32.const 56)) (then unreachable))
      (br_if $next (i32.load (i32.const 56))))))"#;

/// A program that touches every page of so many mebibytes.
pub(crate) fn fat(mebibytes: u32) -> String {
    let (pages, bytes) = (mebibytes * 16 + 1, mebibytes << 20);
    format!(
        r#"(module
          (memory (export "memory") {pages})
          (func (export "_start") (local $at i32)
            (loop $next
              (i32.store (local.get $at) (i32.const 1))
              (local.set $at (i32.add (local.get $at) (i32.const 4096)))
              (br_if $next (i32.lt_u (local.get $at) (i32.const {bytes}))))))"#
    )
}

/// Writes 1 KiB to standard output, as a component.
pub(crate) const COMPONENT: &str = r#"(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $error'))
    (export "output-stream" (type $stream (sub resource)))
    (export "error" (type $e (eq $error')))
    (type $failure' (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $failure (eq $failure')))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $failure)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $stream'))
    (export "output-stream" (type $s (eq $stream')))
    (export "get-stdout" (func (result (own $s))))))
  (core module $memory (memory (export "memory") 2))
  (core instance $memory (instantiate $memory))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $memory "memory"))))
  (core module $main
    (import "host" "get" (func $get (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (func (export "run") (result i32)
      (call $write (call $get) (i32.const 16) (i32.const 1024) (i32.const 8)) (i32.const 0)))
  (core instance $main (instantiate $main
    (with "host" (instance (export "get" (func $get)) (export "write" (func $write))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#;
