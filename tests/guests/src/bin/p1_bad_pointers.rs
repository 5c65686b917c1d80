//! Pointers that lead out of memory: every call says so, none traps, and nothing has happened.

use wasmill_test_guests::{ROOT, at, at_mut, call, errno::*, file, flag::READ, open};

const FAR: u32 = 0xffff_fff0;

fn main() {
    let (fd, mut word) = (file("out/f", b"content"), 0_u64);
    let out = at_mut(&mut word);
    let far = [FAR, 100_u32];
    for (what, answer) in [
        ("args_get", call!(args_get(FAR, FAR))),
        ("clock_time_get", call!(clock_time_get(0, 0, FAR))),
        ("clock_res_get", call!(clock_res_get(0, FAR))),
        ("environ_sizes_get", call!(environ_sizes_get(FAR, FAR))),
        ("fd_fdstat_get", call!(fd_fdstat_get(fd, FAR))),
        ("fd_filestat_get", call!(fd_filestat_get(fd, FAR))),
        ("fd_pread iovs", call!(fd_pread(fd, FAR, 1, 0, out))),
        ("fd_pread buffer", call!(fd_pread(fd, at(&far), 1, 0, out))),
        ("fd_prestat_get", call!(fd_prestat_get(ROOT, FAR))),
        ("fd_pwrite", call!(fd_pwrite(fd, at(&far), 1, 0, out))),
        ("fd_read", call!(fd_read(fd, at(&far), 1, out))),
        ("fd_readdir", call!(fd_readdir(ROOT, FAR, 100, 0, out))),
        ("fd_seek", call!(fd_seek(fd, 0, 0, FAR))),
        ("fd_tell", call!(fd_tell(fd, FAR))),
        ("fd_write", call!(fd_write(fd, at(&far), 1, out))),
        ("path_create_directory", call!(path_create_directory(ROOT, FAR, 100))),
        ("path_filestat_get", call!(path_filestat_get(ROOT, 0, FAR, 100, out))),
        ("path_open", call!(path_open(ROOT, 0, FAR, 100, 0, 0, 0, 0, out))),
        ("path_readlink", call!(path_readlink(ROOT, FAR, 100, out, 8, out))),
        ("path_rename", call!(path_rename(ROOT, FAR, 100, ROOT, FAR, 100))),
        ("path_symlink", call!(path_symlink(FAR, 100, ROOT, at("out/l"), 5))),
        ("path_unlink_file", call!(path_unlink_file(ROOT, FAR, 100))),
        ("poll_oneoff", call!(poll_oneoff(FAR, FAR, 1, out))),
        ("random_get", call!(random_get(FAR, 100))),
    ] {
        assert_eq!(answer, Err(FAULT), "{what}");
    }
    assert_eq!(open(ROOT, "out/l", 0, READ), Err(NOENT));
}
