"""Figures in a browser, where they are alive."""

import re
import shutil

import pytest
import vl_convert

from figure_samples import (
    DRAWN,
)
from noiselab.answers.figures.vegalite import VERSION

PAGE = "<html><body><div id='figure'></div><script>{}</script></body></html>"
EMBED = """spec => vegaEmbed('#figure', spec, {renderer: 'svg', actions: false}).then(() => 0)"""


@pytest.fixture(scope="module")
def page():
    """A page of Chromium with Vega, without a network."""
    sync = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium here")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        opened = browser.new_page(viewport={"width": 950, "height": 900})
        opened.set_default_timeout(30_000)
        opened.said = []
        opened.on("console", lambda message: opened.said.append(message.text))
        opened.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.on("request", lambda request: opened.said.append(request.url))
        script = vl_convert.javascript_bundle(vl_version=VERSION)
        opened.set_content(PAGE.format(script.replace("</script", "<\\/script")))
        yield opened
        browser.close()


def test_specifications_are_drawn_in_a_browser_without_a_word(page):
    for figure in DRAWN.values():
        for spec in (figure.wide, figure.narrow):
            page.evaluate(EMBED, spec)
            assert float(page.get_attribute("#figure svg", "width")) <= 910
    assert page.said == []


def test_a_click_on_a_name_hides_its_curve_and_pointing_shows_the_cell(page):
    page.evaluate(EMBED, DRAWN["language_model"].wide)
    dashed = page.locator("#figure path[stroke-dasharray='6,4']")
    assert dashed.first.get_attribute("opacity") in (None, "1")
    page.locator("#figure text", has_text=re.compile("^floor$")).first.click()
    page.wait_for_function(
        "document.querySelector(\"path[stroke-dasharray='6,4']\").getAttribute('opacity') === '0'"
    )
    page.locator("#figure path[opacity='0.001']").nth(2).hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    told = page.inner_text("#vg-tooltip-element")
    assert all(words in told for words in ("23.08 %", "loss above the floor"))
    page.evaluate(EMBED, DRAWN["information_loss"].wide)
    page.locator("#figure path[opacity='0.001']").last.hover(force=True)
    page.wait_for_function(
        "document.querySelector('#vg-tooltip-element').innerText.includes('n = 50,257')"
    )
    told = page.inner_text("#vg-tooltip-element")
    assert all(words in told for words in ("error rate", "100 %", "H(y|x) / H(y)"))
    assert page.said == []
