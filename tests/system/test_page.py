"""The page in a real browser, from disk, as people use it.

Needs Chromium and its driver, and Selenium: apt-get install --no-install-recommends chromium chromium-driver, and
pip install selenium (make slow does).
"""

import importlib.util
import shutil
import time

import pytest

from tests.helpers.command import word
from tests.helpers.made import make

LACKING = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
LACKING += ["selenium"] * (importlib.util.find_spec("selenium") is None)
WITHOUT = pytest.mark.skipif(bool(LACKING), reason=f"no browser without {LACKING}: see the head of this file")
pytestmark = [pytest.mark.slow, WITHOUT]

EVIL = "N O P Q [F2] <img src=x onerror=document.title='caught'> <answer> A"


CUT = """
return [...document.querySelectorAll("body *")].filter(node => {
  const hides = getComputedStyle(node).overflowX !== "visible" && !["SELECT", "INPUT"].includes(node.tagName);
  const wide = node.getBoundingClientRect().right > 400.5 || hides && node.scrollWidth > node.clientWidth + 1;
  return node.getClientRects().length && node.clientWidth && !node.closest(".unseen") && wide;
}).map(node => node.outerHTML.slice(0, 80));
"""
WEAK = """
const parts = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
const behind = node => {
  for (; node; node = node.parentElement) {
    const colour = parts(getComputedStyle(node).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const light = colour => {
  const [r, g, b] = colour.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const text = node => [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
const written = node => node.getClientRects().length && text(node);
return [...document.querySelectorAll("body *")].filter(written).map(node => {
  const ink = light(parts(getComputedStyle(node).color)), paper = light(behind(node));
  return [(Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05), node.outerHTML.slice(0, 90)];
}).filter(([ratio]) => ratio < 4.5);
"""


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1500,1200"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, tmp_path):
    make(tmp_path, scores=(0.1, 0.2, 0.3), text=EVIL)
    assert word("report")([str(tmp_path)]) == 0
    browser.set_window_size(1500, 1200)
    browser.get((tmp_path / "report.html").as_uri())
    return browser


def all_of(driver, selector):
    return driver.find_elements("css selector", selector)


def one(driver, selector):
    return driver.find_element("css selector", selector)


def choose(driver, name, text):
    from selenium.webdriver.support.ui import Select

    Select(one(driver, f"#{name}")).select_by_visible_text(text)


def test_it_opens_from_disk_without_a_word_on_the_console(opened):
    assert opened.get_log("browser") == []
    assert one(opened, "#detail h2").text == "task (rules composed), +1"
    assert [button.text.split("\n")[0] for button in all_of(opened, ".map td button")] == ["1.00", "0.20", "0.20"]


def test_a_click_shows_a_cell_s_chains_with_each_step_judged(opened):
    all_of(opened, ".map td button")[2].click()
    assert one(opened, "#detail h2").text == "insert, all tokens, +2"
    assert len(all_of(opened, "#detail .row")) == 3 * 5 * 3
    assert "right for [F1]" in one(opened, "#detail .step.other").text
    assert one(opened, "#detail .step.wrong").text.startswith("N O P Q [F2]")
    assert all_of(opened, "#detail a")[0].get_attribute("href").endswith("/0/.hydra/config.yaml")


def test_rows_can_be_had_by_diagnosis_and_seed(opened):
    one(opened, "[data-kind=replayed]").click()
    assert opened.switch_to.active_element == one(opened, "[data-kind=replayed]")
    assert one(opened, "#status").get_attribute("textContent") == "9 rows of replayed another composition"
    assert len(all_of(opened, "#detail .row")) == 9
    assert all("replayed another composition" in row.text for row in all_of(opened, "#detail .row"))
    choose(opened, "seed", "seed 1")
    assert len(all_of(opened, "#detail .row")) == 3
    assert all_of(opened, ".map td button")[1].text.startswith("0.20")
    choose(opened, "metric", "share: right")
    assert all_of(opened, ".map td button")[0].text.startswith("1.00")
    assert not one(opened, "#part").is_enabled()


def test_search_finds_cells_and_rows(opened):
    one(opened, "#search").send_keys("insert")
    assert "insert, all tokens, +2" in one(opened, "#found").text
    one(opened, "#search").clear()
    one(opened, "#search").send_keys("a b c d")
    assert "90 found; the first:" in one(opened, "#found").text
    one(opened, "#found button").click()
    assert all_of(opened, "#detail .row")
    one(opened, "#search").clear()
    one(opened, "#search").send_keys("zebra")
    assert one(opened, "#found").text.startswith("nothing found among")
    choose(opened, "seed", "seed 1")
    one(opened, "#search").clear()
    one(opened, "#search").send_keys("a b c d")
    one(opened, "#found button").click()
    assert all_of(opened, "#detail .row"), "a row of another seed is not shown"


def test_text_from_a_row_stays_text(opened):
    assert "<img src=x" in one(opened, "#detail .row").text
    assert not all_of(opened, "img")
    assert opened.title != "caught"


def test_arrows_and_enter_do_what_clicks_do(opened):
    from selenium.webdriver.common.keys import Keys

    first, shifted, noised = all_of(opened, ".map td button")
    shifted.send_keys(Keys.ARROW_DOWN)
    assert opened.switch_to.active_element == noised
    noised.send_keys(Keys.ENTER)
    assert one(opened, "#detail h2").text == "insert, all tokens, +2"
    assert noised.get_attribute("aria-pressed") == "true"
    assert "insert, all tokens, +2, level 2: 0.20" in noised.get_attribute("aria-label")
    noised.send_keys(Keys.ARROW_UP)
    opened.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert opened.switch_to.active_element == first


def test_on_a_phone_nothing_is_cut(opened):
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        assert opened.execute_script("return innerWidth") == 400
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 400
        assert opened.execute_script(CUT) == []
        assert "level 1" in all_of(opened, ".map td button")[1].text
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(opened, scheme):
    """Contrast of every visible text against what is behind it: 4.5 or more, as WCAG asks."""
    opened.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    assert opened.execute_script(WEAK) == []


def test_what_moved_can_be_seen(browser, tmp_path):
    ten = (0.09, 0.1, 0.11, 0.1, 0.1) * 2  # fewer seeds show nothing
    before, after = make(tmp_path / "a", ten), make(tmp_path / "b", ten, moved=0.8)
    assert word("compare")([str(before), str(after)]) == 0
    browser.get((after / "compare.html").as_uri())
    assert browser.get_log("browser") == []
    assert [button.text.split("\n")[0] for button in all_of(browser, ".map td button.moved")] == ["+0.80", "+0.80"]
    assert "moved +0.80 [+0." in one(browser, "#detail").text


def test_a_large_page_opens_soon(browser, tmp_path):
    make(tmp_path, overrides=[f"model.width={n}" for n in range(100)], text=EVIL)
    assert word("report")([str(tmp_path)]) == 0
    begun = time.perf_counter()
    browser.get((tmp_path / "report.html").as_uri())
    assert len(all_of(browser, ".map td button")) == 300
    print(f"300 cells open in {time.perf_counter() - begun:.1f} s")
