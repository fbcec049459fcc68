//! What is typed or lies there wrong: the message, and the number it ends in.

use crate::household::Household;

#[test]
fn what_is_typed_wrong_is_said_with_what_would_be_right() {
    let here =
        Household::new("[[list]]\nid = \"l\"\ncategory = \"ads\"\nlines = [\"a.example\"]\n");
    for (line, code, told) in [
        ("compile --memory 1MiB", 2, "must be 8 MiB to 1 GiB"),
        ("compile --memory 24", 2, "the unit is missing"),
        (
            "export --format regex",
            2,
            "known syntaxes: domains, hosts, adblock, dnsmasq, unbound, rpz",
        ),
        ("search a..b", 2, "`a..b` is not a domain name"),
        (
            "show m",
            1,
            "error: there is no list `m`\nhelp: known lists: starter-lifelines, l\n",
        ),
        (
            "verify l",
            1,
            "help: `hedgerow lists compile` makes an index\n",
        ),
        (
            "export l",
            1,
            "help: `hedgerow lists compile` makes an index\n",
        ),
        (
            "update l",
            1,
            "error: list `l` has no address to fetch it from\n",
        ),
        ("update m", 1, "error: there is no list `m`\n"),
        (
            "compile --out /nowhere/x",
            1,
            "error: /nowhere/x: cannot write: ",
        ),
    ] {
        let done = here.lists(line);
        assert_eq!(done.code, code, "{line}: {done:?}");
        assert!(done.err.contains(told), "{line}: {done:?}");
        assert_eq!(done.out, "", "{line}");
    }
    here.lists("compile").fine();
    for (line, told) in [
        (
            "verify m",
            "error: there is no list `m`\nhelp: known lists: starter-lifelines, l\n",
        ),
        ("export m", "error: there is no list `m` in the index\n"),
    ] {
        let done = here.lists(line);
        assert_eq!(done.code, 1, "{line}: {done:?}");
        assert!(done.err.contains(told), "{line}: {done:?}");
    }
}

#[test]
fn a_bad_configuration_ends_with_its_number() {
    let here =
        Household::new("[[list]]\nid = \"l\"\ncategory = \"ads\"\nurl = \"file:///etc/passwd\"\n");
    for line in [
        "compile",
        "show",
        "update",
        "verify",
        "search a.example",
        "export",
    ] {
        let done = here.lists(line);
        assert_eq!(done.code, 78, "{line}: {done:?}");
        assert!(
            done.err.contains("a file of this machine"),
            "{line}: {done:?}"
        );
    }
}

#[test]
fn one_bad_list_costs_that_list() {
    let here = Household::new(
        "[[list]]\nid = \"page\"\ncategory = \"ads\"\nfile = \"page.txt\"\n\
         [[list]]\nid = \"fine\"\ncategory = \"ads\"\nlines = [\"a.example\"]\n\
         [[list]]\nid = \"out\"\ncategory = \"ads\"\nfile = \"lists/out.txt\"\n",
    );
    here.write("page.txt", "<!DOCTYPE html><html>");
    here.write("lists/in.txt", "b.example\n");
    std::os::unix::fs::symlink("/etc/passwd", here.path("lists/out.txt")).unwrap();
    let done = here.lists("compile");
    assert_eq!(done.code, 1);
    assert!(done.out.contains("failed: page: "), "{done:?}");
    assert!(
        done.out
            .contains("out.txt: a link out of its folder, to /etc/passwd"),
        "{done:?}"
    );
    assert!(!done.out.contains("root"), "{done:?}");
    let found = here.lists("search a.example --json").json(0);
    assert_eq!(found["found"][0]["list"], "fine");
    // A list that could be read before holds what it said.
    here.write("page.txt", "c.example\n");
    here.lists("compile");
    here.write("page.txt", "<!DOCTYPE html><html>");
    let done = here.lists("compile");
    assert!(
        done.out.contains("stale: page holds what it said before: "),
        "{done:?}"
    );
    assert!(here.lists("export page").fine().contains("||c.example^"));
}

#[test]
fn an_index_that_is_damaged_is_refused_with_its_reason() {
    let here =
        Household::new("[[list]]\nid = \"l\"\ncategory = \"ads\"\nlines = [\"a.example\"]\n");
    here.lists("compile").fine();
    let whole = std::fs::read(here.path("state/lists.index")).unwrap();
    let mut damaged = 0;
    for (what, index) in [
        ("cut", whole[..whole.len() - 1].to_vec()),
        ("empty", Vec::new()),
        ("other", b"something else entirely".to_vec()),
        ("flipped", {
            let mut index = whole.clone();
            let middle = index.len() / 2;
            index[middle] ^= 1;
            index
        }),
    ] {
        here.write("state/lists.index", index);
        let done = here.lists("export l");
        assert_eq!(done.code, 1, "{what}: {done:?}");
        assert!(done.err.contains("state/lists.index: "), "{what}: {done:?}");
        let done = here.lists("show");
        assert_eq!(done.code, 0, "{what}: {done:?}");
        assert!(done.err.starts_with("note: "), "{what}: {done:?}");
        damaged += 1;
    }
    assert_eq!(damaged, 4);
    here.lists("compile").fine();
    assert_eq!(here.lists("export l").fine(), "||a.example^\n");
}

#[test]
fn nothing_is_sealed_by_mistake() {
    let here = Household::new("");
    here.write("key", "no key");
    let line = "lists seal --key key --title T --issuer I --serial 1";
    let done = here.run(line, "a.example\n");
    assert_eq!(done.code, 1);
    assert!(
        done.err
            .contains("key: not a key\nhelp: a key is 32 hexadecimal digits"),
        "{done:?}"
    );
    here.write("key", "00112233445566778899aabbccddeeff");
    for (input, told) in [
        ("", "error: there are no names on standard input"),
        ("a.example\nnot a name\n", "error: standard input:2: "),
        ("org\n", "error: "),
    ] {
        let done = here.run(line, input);
        assert_eq!(done.code, 1, "{input:?}: {done:?}");
        assert!(done.err.starts_with(told), "{input:?}: {done:?}");
        assert!(!done.err.contains("not a name"), "a secret: {done:?}");
        assert_eq!(done.out, "");
    }
}
