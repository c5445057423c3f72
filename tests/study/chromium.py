"""A headless Chromium for tests of pages; none: the tests are skipped."""

import contextlib
import os
import shutil
import time

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)


class Browser:
    """A driver, and what these tests do with it."""

    def __init__(self, driver, downloads):
        self.driver, self.downloads = driver, downloads

    def open(self, page, width=1280, height=900):
        """Seconds until the page has drawn itself."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.errors()
        started = time.monotonic()
        self.driver.get(page.as_uri())
        assert self.run("return document.documentElement.dataset.ready") == "true", self.errors()
        self.frame()
        return time.monotonic() - started

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def frame(self):
        """Waits until what was changed is on the screen."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done))"
        )

    def choose(self, **values):
        """Sets selects by id."""
        for key, value in values.items():
            self.run(
                "const select = document.getElementById(arguments[0]); select.value = arguments[1];"
                "select.dispatchEvent(new Event('change'))",
                *(key, value),
            )

    def type(self, text):
        """Into the field that filters, key by key."""
        field = self.driver.find_element("id", "text")
        field.clear()
        field.send_keys(text)
        self.driver.execute_async_script("setTimeout(arguments[0], 160)")

    def keys(self, *keys):
        """To whatever has the focus."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def texts(self, selector):
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)",
            selector,
        )

    def downloaded(self, name):
        """The bytes of a file that a click just saved."""
        path = self.downloads / name
        for _ in range(100):
            if path.exists():
                content = path.read_bytes()
                path.unlink()
                return content
            time.sleep(0.05)
        raise AssertionError(f"{name} was not saved: {os.listdir(self.downloads)}")

    def errors(self):
        """What the console has said since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextlib.contextmanager
def chromium(folder):
    """A browser with a profile and downloads in `folder`."""
    if not BROWSER or not DRIVER:
        pytest.skip("needs chromium and chromedriver")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for option in (*OPTIONS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        downloads = folder / "downloads"
        downloads.mkdir()
        behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
        yield Browser(driver, downloads)
    finally:
        driver.quit()
