//! The pages in a real browser: with script and without, by mouse and by keyboard alone, and judged by axe-core.

mod joining;

use colloquy::args;
use colloquy::domain::notice::NoticeKind;
use colloquy::domain::token::Purpose;
use colloquy::store::EngineKind;

use crate::pages::Site;
use crate::support::browser::{Browser, ENTER, SPACE};
use crate::support::database;

/// The address of a page in the browser.
fn url(site: &Site, purpose: Purpose) -> String {
    format!("http://{}{}", site.server.address, site.path(purpose))
}

#[tokio::test]
async fn leaving_takes_one_click_with_script_and_without() {
    for scripts in [true, false] {
        let db = database(EngineKind::Sqlite).await;
        let site = Site::open(&db).await;
        let browser = if scripts { Browser::start().await } else { Browser::without_scripts().await };
        browser.reader(360, false, "en").await;
        browser.open(&url(&site, Purpose::Unsubscribe)).await;
        browser.shows("h1", "Unsubscribe").await;
        assert_eq!(site.subscribed().await.len(), 2, "looking changes nothing");
        browser.click("button[value=topic]").await;
        browser.shows("h1", "Unsubscribed").await;
        assert_eq!(site.subscribed().await, ["news"]);
        browser.click("button[value=all]").await;
        browser.shows("[role=status]", "You will get no more mailings from us.").await;
        assert!(site.subscribed().await.is_empty());
        browser.click("main a").await;
        browser.shows("h1", "Your preferences").await;
    }
}

#[tokio::test]
async fn preferences_are_chosen_with_script_and_without() {
    for scripts in [true, false] {
        let db = database(EngineKind::Sqlite).await;
        let site = Site::open(&db).await;
        let browser = if scripts { Browser::start().await } else { Browser::without_scripts().await };
        browser.reader(1200, true, "de").await;
        browser.open(&url(&site, Purpose::Preferences)).await;
        for css in ["[value=offers] + span", "[value=events] + span", "[name=tracking] + span"] {
            browser.click(css).await;
        }
        browser.click("main button:not([name])").await;
        browser.shows("[role=status]", "Ihre Auswahl ist gespeichert.").await;
        assert_eq!((site.subscribed().await, site.tracking().await), (vec!["events".into(), "news".into()], false));
    }
}

#[tokio::test]
async fn everything_works_by_keyboard_alone_and_shows_where_one_is() {
    let db = database(EngineKind::Sqlite).await;
    let site = Site::open(&db).await;
    let browser = Browser::without_scripts().await;
    browser.reader(360, false, "en").await;
    browser.open(&url(&site, Purpose::Unsubscribe)).await;
    browser.tab_to("button[value=topic]").await;
    browser.press(ENTER).await;
    browser.wait_for("document.querySelector('[role=status]')").await;
    assert_eq!(site.subscribed().await, ["news"]);
    browser.tab_to("main a").await;
    browser.press(ENTER).await;
    browser.wait_for("document.querySelector('[name=save]')").await;
    browser.tab_to("[value=events]").await;
    browser.press(SPACE).await;
    browser.tab_to("[name=tracking]").await;
    browser.press(SPACE).await;
    browser.tab_to("main button:not([name])").await;
    browser.press(ENTER).await;
    browser.wait_for("document.querySelector('[role=status]')").await;
    assert_eq!((site.subscribed().await, site.tracking().await), (vec!["events".into(), "news".into()], false));
    browser.tab_to("footer a").await;
}

#[tokio::test]
async fn ones_own_data_are_changed_taken_along_and_erased_with_script_and_without() {
    for scripts in [true, false] {
        let db = database(EngineKind::Sqlite).await;
        let site = Site::open(&db).await;
        let browser = if scripts { Browser::start().await } else { Browser::without_scripts().await };
        browser.reader(360, false, "en").await;
        browser.open(&url(&site, Purpose::Preferences)).await;
        browser.click("[name=pace][value='1 per 7d'] + span").await;
        browser.click("main button:not([name])").await;
        browser.shows("[role=status]", "Your choice is saved.").await;
        browser.click("button[name=fresh]").await;
        browser.shows("[role=status]", "We have mailed a link to your address. It works for an hour.").await;

        let own = format!("http://{}{}", site.server.address, site.mailed(NoticeKind::FreshLink).await);
        browser.open(&own).await;
        browser.shows("h1", "Your data").await;
        browser.click("[name='attribute.member'] + span").await;
        browser.click("button[value=attributes]").await;
        browser.shows("[role=status]", "Your choice is saved.").await;
        browser.click("button[value=address]").await;
        browser.shows("#address-fault", "This is not an address such as name@example.org.").await;
        browser.click("button[value=erase]").await;
        browser.shows("h1", "Erase everything").await;
        assert!(site.address().await.is_some(), "one is asked once more");
        browser.tab_to("button[value=erase-all]").await;
        browser.press(ENTER).await;
        browser.wait_for("document.querySelector('h1').textContent === 'Erased'").await;
        assert_eq!(site.address().await, None);
    }
}

#[tokio::test]
async fn no_page_keeps_anybody_out_in_any_language_at_any_width_by_day_and_by_night() {
    let browser = Browser::start().await;
    let mut barriers = Vec::new();
    let readers = [320, 1280].into_iter().flat_map(|width| [false, true].map(|dark| (width, dark)));
    for (width, dark, languages) in readers.flat_map(|(width, dark)| ["de", "en"].map(|tag| (width, dark, tag))) {
        let db = database(EngineKind::Sqlite).await;
        let site = Site::open(&db).await;
        browser.reader(width, dark, languages).await;
        let look = async |page: &str| {
            let found = browser.barriers().await;
            found.into_iter().map(|barrier| format!("{page}, {width}, {languages}: {barrier}")).collect::<Vec<_>>()
        };
        browser.open(&url(&site, Purpose::Preferences)).await;
        barriers.extend(look("preferences").await);
        browser.click("main button:not([name])").await;
        barriers.extend(look("saved").await);
        browser.click("[value=news] + span").await;
        browser.click("main button:not([name])").await;
        browser.wait_for("document.querySelector('[name=tell]')").await;
        barriers.extend(look("left there").await);
        browser.click("[value=news] + span").await;
        browser.click("main > form:has([name=save]) button:not([name])").await;
        browser.wait_for("document.querySelector('[role=status]') && !document.querySelector('[name=tell]')").await;
        browser.open(&format!("http://{}/p/cut", site.server.address)).await;
        browser.wait_for("document.querySelector('h1')").await;
        barriers.extend(look("nowhere").await);
        browser.open(&url(&site, Purpose::Keep)).await;
        barriers.extend(look("keep").await);
        browser.click("button[name=keep]").await;
        barriers.extend(look("kept").await);
        browser.open(&url(&site, Purpose::Unsubscribe)).await;
        barriers.extend(look("leave").await);
        browser.click("button[value=topic]").await;
        barriers.extend(look("left").await);
        browser.click("button[value=all]").await;
        barriers.extend(look("left all").await);
        let own = format!("http://{}{}", site.server.address, site.fresh().await);
        browser.open(&own).await;
        barriers.extend(look("own data").await);
        browser.click("button[value=address]").await;
        barriers.extend(look("a fault").await);
        browser.click("button[value=erase]").await;
        barriers.extend(look("erase").await);
        browser.open(&format!("http://{}{}", site.server.address, site.stale().await)).await;
        barriers.extend(look("stale").await);
        let mut session = site.store.write().await.unwrap();
        session.execute("UPDATE recipients SET address = NULL WHERE id = $1", args![site.anna]).await.unwrap();
        session.commit().await.unwrap();
        browser.open(&url(&site, Purpose::Unsubscribe)).await;
        barriers.extend(look("gone").await);
        site.store.close().await;
        browser.open(&url(&site, Purpose::Preferences)).await;
        assert_eq!(browser.script("return document.documentElement.lang").await, languages);
        barriers.extend(look("away").await);
    }
    assert!(barriers.is_empty(), "{}", barriers.join("\n"));
}

#[tokio::test]
async fn pages_load_nothing_keep_nothing_and_break_no_rule_of_their_policy() {
    let db = database(EngineKind::Sqlite).await;
    let site = Site::open(&db).await;
    let browser = Browser::start().await;
    browser.reader(360, false, "en").await;
    for purpose in [Purpose::Unsubscribe, Purpose::Preferences, Purpose::Keep] {
        browser.open(&url(&site, purpose)).await;
        let found = "const style = getComputedStyle(document.querySelector('main button'));
            return [document.cookie, localStorage.length, performance.getEntriesByType('resource').length,
                style.borderTopWidth, document.scripts.length]";
        let found = browser.script(found).await;
        assert_eq!(
            found,
            serde_json::json!(["", 0, 0, "2px", 0]),
            "the style is let through, and nothing else is there"
        );
    }
}

#[tokio::test]
async fn a_page_with_barriers_is_found_out() {
    let browser = Browser::start().await;
    browser.reader(320, false, "en").await;
    browser.open("data:text/html,<p style='color:%23bbb;width:900px'>faint<input>").await;
    let barriers = browser.barriers().await.join("\n");
    for rule in ["color-contrast", "html-has-lang", "document-title", "label: ", "it scrolls sideways"] {
        assert!(barriers.contains(rule), "{rule} is not among {barriers}");
    }
}
