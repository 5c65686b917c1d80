//! Arguments and environment: what was given and nothing else, whatever the letters.

use wasmill_test_guests::{at_mut, call};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    assert_eq!(args, ["main", "one", "", "zwölf 十二", "--flag=x"]);
    let env: Vec<(String, String)> = std::env::vars().collect();
    assert_eq!(env, [("EMPTY".to_owned(), String::new()), ("NAME".to_owned(), "a=b".to_owned())]);
    let (mut count, mut size) = (0_u32, 0_u32);
    call!(environ_sizes_get(at_mut(&mut count), at_mut(&mut size))).unwrap();
    assert_eq!((count, size), (2, 7 + 9));
}
