//! The templates of a new project, in a real browser: at the width of a telephone and of a window, by
//! day and by night.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::rules::Shop;

const CAMPAIGNS: [&str; 3] = ["welcome", "gear", "letter"];
const WIDTHS: [u64; 2] = [360, 700];

/// Looks at every mail in a frame of each width and writes what it finds into the page, as JSON.
const LOOK: &str = r#"
const numbers = text => (text.match(/rgba?\([^)]*\)/g) || []).map(c => c.match(/[\d.]+/g).map(Number));
const luminance = c => [0, 1, 2].map(i => c[i] / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
// The colours behind an element: its own, or the next one's around it; of a gradient all.
function behind(element, view) {
  for (let e = element; e; e = e.parentElement) {
    const style = view.getComputedStyle(e);
    const gradient = numbers(style.backgroundImage);
    if (gradient.length) return gradient;
    const [color] = numbers(style.backgroundColor);
    if (color.length < 4 || color[3] > 0) return [color];
  }
  return [view.matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255]];
}
function look(frame) {
  const doc = frame.contentDocument, view = frame.contentWindow, faint = [];
  const walker = doc.createTreeWalker(doc.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, style = view.getComputedStyle(element);
    if (!walker.currentNode.data.trim() || ['SCRIPT', 'STYLE'].includes(element.tagName) || !element.getClientRects().length) continue;
    texts++;
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    const least = Math.min(...behind(element, view).map(c => contrast(numbers(style.color)[0], c)));
    if (least < (large ? 3 : 4.5)) faint.push(walker.currentNode.data.trim() + ' ' + least.toFixed(2));
  }
  const buttons = [...doc.links].filter(a => view.getComputedStyle(a).display == 'inline-block');
  return {
    name: frame.name, width: view.innerWidth, reaches: doc.documentElement.scrollWidth, texts, faint,
    smallest: Math.min(...[...doc.links].map(a => parseFloat(view.getComputedStyle(a).fontSize))),
    buttons: buttons.map(a => a.getBoundingClientRect().height),
    dark: view.matchMedia('(prefers-color-scheme: dark)').matches, page: luminance(behind(doc.body.firstElementChild, view)[0]),
  };
}
onload = () => document.body.textContent = JSON.stringify([...document.querySelectorAll('iframe')].map(look));
"#;

/// What the browser sees of each mail at each width.
fn seen(shop: &Shop, dark: bool) -> Vec<Value> {
    let frames = CAMPAIGNS.iter().flat_map(|campaign| WIDTHS.map(|width| (campaign, width)));
    let frames = frames.map(|(campaign, width)| {
        let mail = shop.done(&["preview", campaign, "--as", "anna@recipients.example", "--part", "html"]);
        let mail = mail.replace('&', "&amp;").replace('"', "&quot;");
        format!("<iframe name=\"{campaign}\" width=\"{width}\" height=\"900\" style=\"border:0\" srcdoc=\"{mail}\"></iframe>\n")
    });
    let page = format!("<!doctype html><script>{LOOK}</script><body>{}</body>", frames.collect::<String>());
    let path = shop.path("seen.html");
    fs::write(&path, page).unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--user-data-dir={}", shop.path("browser").display()))
        .args(dark.then_some("--blink-settings=preferredColorScheme=0"))
        .arg(path)
        .output()
        .expect("chromium is installed by scripts/setup");
    let dom = String::from_utf8(output.stdout).unwrap();
    let json = dom.split_once("<body>").and_then(|(_, rest)| rest.split_once("</body>"));
    let (json, _) = json.unwrap_or_else(|| panic!("{dom}\n{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(json.trim()).unwrap_or_else(|e| panic!("{e}: {dom}"))
}

#[test]
fn every_template_fits_telephone_and_window_and_is_readable_by_day_and_by_night() {
    let shop = Shop::new();
    shop.done(&["import", "recipients.csv", "--topic", "news", "--source", "sample"]);
    for dark in [false, true] {
        let seen = seen(&shop, dark);
        assert_eq!(seen.len(), CAMPAIGNS.len() * WIDTHS.len());
        for (i, mail) in seen.iter().enumerate() {
            let width = WIDTHS[i % WIDTHS.len()];
            assert_eq!(mail["width"], width, "{mail}");
            assert!(mail["reaches"].as_u64().unwrap() <= width, "nobody scrolls sideways: {mail}");
            assert!(mail["texts"].as_u64().unwrap() > 10, "{mail}");
            assert_eq!(mail["faint"].as_array().unwrap().len(), 0, "WCAG AA asks for more contrast: {mail}");
            assert!(mail["smallest"].as_f64().unwrap() >= 13.0, "{mail}");
            let buttons: Vec<f64> = mail["buttons"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
            assert_eq!(buttons.len(), if mail["name"] == "letter" { 0 } else { 3 }, "{mail}");
            assert!(buttons.iter().all(|height| *height >= 44.0), "a thumb needs 44 pixels: {mail}");
            assert_eq!(mail["dark"], dark);
            assert_eq!(mail["page"].as_f64().unwrap() < 0.1, dark, "{mail}");
        }
    }
}

#[test]
fn check_names_what_a_template_should_not_go_out_with() {
    let shop = Shop::new();
    assert!(shop.done(&["check"]).contains("0 errors, 0 warnings"), "a new project is in order");
    shop.edit("templates/newsletter.mjml", "<h2>Forty", "<h2 style=\"color:#999\">Forty");
    let imprint = "<a href=\"{{sender.imprint_url}}\" data-track=\"off\">Imprint</a>";
    shop.edit("templates/partials/footer.hbs", imprint, "<img src=\"https://x.example/a.png\">");
    shop.edit(
        "config/campaigns/letter.toml",
        "topic = ",
        "schedule = { every = \"Tue 21:00\", window = [\"08:00\", \"20:00\"] }\ntopic = ",
    );
    let (code, words) = shop.colloquy(&["check", "--strict"]);
    assert_eq!(code, 2, "{words}");
    for warning in [
        "warning: welcome: templates/newsletter.mjml:31:30: text in #999999 on #ffffff is hard to read: contrast 2.8",
        "warning: letter: templates/partials/footer.hbs:2:11: a picture has no alternative text (add alt=",
        "warning: gear: the sender's imprint is missing (set [sender] imprint_url",
        "warning: letter: no run ever goes out: at 20",
    ] {
        assert!(words.contains(warning), "{warning}\n{words}");
    }
}
