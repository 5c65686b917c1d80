//! What is open from the start, in which order, by which names.

use wasmill_test_guests::{at_mut, call, errno, flag::READ, list, open};

fn name(fd: u32) -> Result<String, u16> {
    let mut stat = [0_u32; 2];
    call!(fd_prestat_get(fd, at_mut(&mut stat)))?;
    let mut name = vec![0_u8; stat[1] as usize];
    call!(fd_prestat_dir_name(fd, at_mut(name.as_mut_slice()), stat[1]))?;
    let short = call!(fd_prestat_dir_name(fd, at_mut(name.as_mut_slice()), stat[1] - 1));
    assert_eq!(short, Err(errno::NAMETOOLONG));
    Ok(String::from_utf8(name).unwrap())
}

fn main() {
    let names: Vec<String> = (3..).map_while(|fd| name(fd).ok()).collect();
    assert_eq!(names, ["/", "/out", "/tmp", "/in", "/in/d", "data"]);
    for fd in 3..9 {
        assert!(list(fd, 4096).is_ok());
    }
    assert_eq!(list(8, 4096).unwrap(), [".", "..", "a", "empty"]);
    open(8, "a", 0, READ).unwrap();
    for fd in [0, 1, 2, 9, 99] {
        assert_eq!(name(fd), Err(errno::BADF));
    }
}
