//! Joining in a real browser: by keyboard alone, without script, and judged by axe-core.

use std::time::Duration;

use crate::join::desk::Site;
use crate::support::browser::{Browser, ENTER, SPACE};
use crate::support::database;
use colloquy::store::EngineKind;

#[tokio::test]
async fn one_joins_and_confirms_by_keyboard_alone_without_script() {
    let site = Site::open(database(EngineKind::Sqlite).await).await;
    let browser = Browser::without_scripts().await;
    browser.reader(360, false, "en").await;
    browser.open(&format!("http://{}/join", site.server.address)).await;
    browser.shows("h1", "Subscribe").await;
    site.pass(Duration::from_secs(20));
    browser.tab_to("#address").await;
    browser.press("anna@example.org").await;
    browser.tab_to("[value=events]").await;
    browser.press(SPACE).await;
    browser.tab_to("main button").await;
    browser.press(ENTER).await;
    browser.shows("h1", "Please look into your mailbox").await;
    let (_, link) = site.mailed("anna@example.org").await.unwrap();
    browser.open(&format!("http://{}{link}", site.server.address)).await;
    browser.shows("h1", "Please confirm").await;
    assert!(site.recipient("anna@example.org").await.is_none());
    browser.tab_to("main button").await;
    browser.press(ENTER).await;
    browser.shows("[role=status]", "From now on you receive: Events <&>.").await;
    let anna = site.recipient("anna@example.org").await.unwrap();
    assert_eq!((site.topics(anna.id).await, anna.tracking), (vec!["events".to_owned()], false));
}

#[tokio::test]
async fn no_page_of_joining_keeps_anybody_out() {
    const JOIN: &str = "\n[topics.events]\ntitle = \"Events\"\n[join]\ntopics = [\"news\", \"events\"]\n\
        attributes = [\"first_name\"]\nask_tracking = true\nchallenge_above = \"3/m\"\n";
    let browser = Browser::start().await;
    let mut barriers = Vec::new();
    let readers = [320, 1280].into_iter().flat_map(|width| [false, true].map(|dark| (width, dark)));
    for (width, dark, language) in readers.flat_map(|(width, dark)| ["de", "en"].map(|tag| (width, dark, tag))) {
        let site = Site::with(database(EngineKind::Sqlite).await, JOIN).await;
        browser.reader(width, dark, language).await;
        let look = async |page: &str| {
            let found = browser.barriers().await;
            found.into_iter().map(|barrier| format!("{page}, {width}, {language}: {barrier}")).collect::<Vec<_>>()
        };
        let url = format!("http://{}/join", site.server.address);
        let fill = |address: &str| {
            format!(
                "document.getElementById('address').value = '{address}'; \
                document.querySelector('[name=topic]').checked = true; return 1"
            )
        };
        let send = async |address: &str, heading: &str| {
            site.pass(Duration::from_secs(20));
            browser.script(&fill(address)).await;
            browser.click("main button").await;
            browser.wait_for(heading).await;
        };
        browser.open(&url).await;
        barriers.extend(look("form").await);
        send("anna", "document.querySelector('[aria-invalid]')").await;
        barriers.extend(look("wrong address").await);
        send("anna@example.org", "!document.querySelector('form')").await;
        barriers.extend(look("sent").await);
        for n in 0..5 {
            site.post_from(&format!("192.0.{n}.1"), "/join", &[]).await;
        }
        browser.open(&url).await;
        barriers.extend(look("work").await);
        let link = site.mailed("anna@example.org").await.unwrap().1;
        browser.open(&format!("http://{}{link}", site.server.address)).await;
        barriers.extend(look("confirm").await);
        browser.click("main button").await;
        browser.wait_for("document.querySelector('[role=status]')").await;
        barriers.extend(look("confirmed").await);
        site.pass(Duration::from_secs(50 * 3_600));
        browser.open(&format!("http://{}{link}", site.server.address)).await;
        barriers.extend(look("gone").await);
    }
    assert!(barriers.is_empty(), "{}", barriers.join("\n"));
}
