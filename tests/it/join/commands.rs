//! `colloquy join`, and what `check` says of `[join]` and of notices.

use std::fs;

use crate::rules::Shop;

#[test]
fn a_form_for_ones_own_page_asks_what_the_project_asks_and_escapes_it() {
    let shop = Shop::new();
    let (code, words) = shop.colloquy(&["join", "form"]);
    assert!(code == 2 && words.contains("hint: add [join]"), "{words}");
    shop.configure(
        "[topics.club]\ntitle = \"Club <&> more\"\n[join]\ntopics = [\"news\", \"club\"]\nattributes = [\"first_name\", \"shoe_size\"]\n\
         ask_tracking = true\nwording_version = \"7\"\n[join.wording]\nen = \"Yes, {sender} & I\"\nde = \"Ja, {sender}\"\n",
    );
    let form = shop.done(&["join", "form"]);
    for part in [
        "action=\"http://localhost:8080/join\" lang=\"en\"",
        "name=\"address\"",
        "autocomplete=\"given-name\"",
        "Shoe size (optional)",
        "value=\"club\"> Club &lt;&amp;&gt; more</label>",
        "<p hidden><label>Please leave this field empty",
        "name=\"tracking\" value=\"1\"> Alpenlauf may note",
        "<p>Yes, Alpenlauf &amp; I</p>",
    ] {
        assert!(form.contains(part), "{part} is missing in {form}");
    }
    assert!(!form.contains("checked") && !form.contains("stamp"), "{form}");
    let club = shop.done(&["join", "form", "--topic", "club"]);
    assert!(
        club.contains("action=\"http://localhost:8080/join?topic=club\"") && !club.contains("name=\"topic\""),
        "{club}"
    );
    let both = shop.done(&["join", "form", "--topic", "club", "--topic", "news"]);
    assert!(
        both.contains("/join?topic=news&amp;topic=club\"") && both.matches("name=\"topic\"").count() == 2,
        "{both}"
    );
    let (code, words) = shop.colloquy(&["join", "form", "--topic", "cub"]);
    assert!(code == 2 && words.contains("nobody can join 'cub'\n  hint: [join] has news, club"), "{words}");
    let german = shop.done(&["join", "form", "--language", "de-AT"]);
    assert!(german.contains("<p>Ja, Alpenlauf</p>") && german.contains("<button>Anmelden</button>"), "{german}");
}

#[test]
fn a_key_is_shown_once_and_kept_as_a_hash() {
    let shop = Shop::new();
    let key = shop.done(&["join", "key", "site"]);
    let key = key.lines().find(|line| line.starts_with("colloquy_")).unwrap();
    let secrets = fs::read_to_string(shop.path("config/secrets.toml")).unwrap();
    assert!(secrets.contains("[[api]]\nname = \"site\"\nsha256 = ") && !secrets.contains(key), "the key is kept");
    let (code, words) = shop.colloquy(&["join", "key", "site"]);
    assert!(code == 2 && words.contains("there is a key 'site' already"), "{words}");
    let (code, words) = shop.colloquy(&["join", "key", "a b"]);
    assert!(code == 2 && words.contains("cannot be a key's name"), "{words}");
    shop.done(&["join", "key", "other"]);
    shop.edit("config/secrets.toml", "sha256 = \"", "sha256 = \"x");
    let (code, words) = shop.colloquy(&["join", "key", "third"]);
    assert!(code == 2 && words.contains("not the hash of a key") && !words.contains("sha256 ="), "{words}");
}

#[test]
fn a_broken_notice_is_refused_by_check_and_apply_with_its_file() {
    let shop = Shop::new();
    fs::create_dir_all(shop.path("templates/notices")).unwrap();
    shop.write("templates/notices/confirm.fr.hbs", "<html><body>{{url}}</body></html>");
    for command in ["check", "apply"] {
        let (code, words) = shop.colloquy(&[command]);
        assert!(
            code == 2 && words.contains("templates/notices/confirm.fr.hbs:1:1: this notice has no subject"),
            "{words}"
        );
    }
    let good = "{{!-- Subject: Oui --}}\n<html><body><p>{{wording}} <a href=\"{{url}}\">Oui</a></p></body></html>";
    shop.write("templates/notices/confirm.fr.hbs", good);
    shop.done(&["check"]);
    shop.done(&["apply"]);
}
