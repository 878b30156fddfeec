//! The house has floors: imports go down only, never up, never sideways between siblings.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The rooms of each floor, from the ground up. Assembly puts the parts together in steps, so it is
/// ordered within: a room there may use those before it.
const FLOORS: [&[&str]; 5] = [
    &["domain"],
    &["clock", "config", "mail", "mailbox", "metrics", "relay", "render", "store", "web"],
    &["backup", "console", "doctor", "inbox", "pages", "people", "plan", "preview", "score", "send", "track"],
    &["lifecycle", "app", "services", "demo"],
    &["cli"],
];

const ASSEMBLY: usize = 3;

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Source files under `src/`, each with its path relative to it.
pub fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The room a file belongs to: `store` for `store.rs` and for `store/runs.rs`.
fn room(file: &Path) -> String {
    file.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The text without comments; strings stay, for no path looks like `crate::x` in one.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The first names after `crate::`, also inside `crate::{…}`, and after a chain of `super::` that
/// reaches the root of the crate.
fn imports(file: &Path, text: &str) -> Vec<String> {
    let path = Regex::new(r"\b((?:super::)+|crate::)(\{|[a-z_0-9]+\b!?)").unwrap();
    let text = code(text);
    let mut names = Vec::new();
    for found in path.captures_iter(&text) {
        let (chain, name) = (&found[1], &found[2]);
        if chain != "crate::" && (chain.matches("super").count() < file.iter().count() || floor(name).is_none()) {
            continue;
        }
        match name {
            "{" => names.extend(group(&text[found.get(0).unwrap().end()..])),
            name if name.ends_with('!') => {}
            name => names.push(name.to_owned()),
        }
    }
    names
}

/// The first name of each branch of `{a::b, c::{d, e}, f}`, from behind its opening brace.
fn group(rest: &str) -> Vec<String> {
    let mut depth = 1;
    let mut branches = vec![String::new()];
    for character in rest.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => branches.push(String::new()),
            _ if depth == 1 => branches.last_mut().unwrap().push(character),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    let first = |branch: &String| branch.trim().split("::").next().unwrap_or_default().to_owned();
    branches.iter().map(first).filter(|name| name.starts_with(|c: char| c.is_lowercase()) && name != "self").collect()
}

/// What is wrong with the imports of a file.
fn complaints(file: &Path, text: &str) -> Vec<String> {
    let here = room(file);
    if here == "lib" || here == "main" {
        return Vec::new();
    }
    let Some(level) = floor(&here) else {
        return vec![format!("src/{}: the room '{here}' is on no floor; add it to FLOORS", file.display())];
    };
    let earlier = |name: &str| FLOORS[ASSEMBLY].iter().take_while(|room| **room != here).any(|room| *room == name);
    let wrong = |name: &String| match floor(name) {
        _ if *name == here => false,
        Some(ASSEMBLY) if level == ASSEMBLY => !earlier(name),
        Some(other) => other >= level,
        None => name != "args",
    };
    imports(file, text)
        .iter()
        .filter(|name| wrong(name))
        .map(|name| format!("src/{}: '{here}' must not import '{name}'", file.display()))
        .collect()
}

#[test]
fn imports_go_down_only() {
    let files = sources();
    assert!(files.len() > 100, "only {} files found", files.len());
    let complaints: Vec<_> = files.iter().flat_map(|(file, text)| complaints(file, text)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn an_import_that_goes_up_or_sideways_is_found() {
    let wrong = |file: &str, text: &str| complaints(Path::new(file), text).len();
    assert_eq!(wrong("domain/run.rs", "use crate::store::Store;"), 1, "up");
    assert_eq!(wrong("store.rs", "use crate::render::Mailing;"), 1, "sideways among adapters");
    assert_eq!(wrong("plan/audience.rs", "use crate::send::Sender;"), 1, "sideways among services");
    assert_eq!(wrong("relay/open.rs", "let m = crate::metrics::Metrics::new();"), 1, "without `use`");
    assert_eq!(wrong("track.rs", "use crate::{\n    domain::{hit, token},\n    pages::Page,\n};"), 1, "in a group");
    assert_eq!(wrong("app.rs", "use crate::services::Services;"), 1, "later in assembly");
    assert_eq!(wrong("track.rs", "use super::pages::Page;"), 1, "through the root");
    assert_eq!(wrong("attic/box.rs", ""), 1, "a room on no floor");
}

#[test]
fn an_import_that_goes_down_or_stays_at_home_is_fine() {
    let fine = |file: &str, text: &str| assert_eq!(complaints(Path::new(file), text), [""; 0]);
    fine("plan/audience.rs", "use crate::store::{Store, args};\nuse crate::plan::Plan;\nuse crate::domain::run::Run;");
    fine("store/runs.rs", "use crate::args;\nuse crate::{args, domain::id::RunId};\ncrate::args![1];\nuse super::sql;");
    fine("services.rs", "use crate::app::App;\nuse crate::lifecycle::Stop;");
    fine("send.rs", "use crate::metrics::Metrics;\n//! See [`crate::cli`].");
}

#[test]
fn sql_stands_in_the_store_alone() {
    let keywords = Regex::new(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM) ").unwrap();
    let strays: Vec<_> = sources()
        .into_iter()
        .filter(|(file, text)| room(file) != "store" && keywords.is_match(&code(text)))
        .map(|(file, _)| file)
        .collect();
    assert!(strays.is_empty(), "SQL outside src/store: {strays:?}");
    assert!(keywords.is_match("const RUN: &str = \"SELECT id FROM runs\";"));
}
