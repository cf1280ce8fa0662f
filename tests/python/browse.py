"""Opens a page in headless Chromium and says what a person and a machine see of it, as JSON.

    browse.py PAGE OUT    screenshots at 1280 and 400 pixels, in light and dark, and a PDF go into the directory OUT

Driven by the DevTools protocol over a pipe: nothing but Chromium and Python's own library.
"""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

PROBE = r"""
(() => {
  const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = (color) => color.match(/[\d.]+/g).map(Number);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const faint = [], wide = [];
  const width = document.documentElement.clientWidth;
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const box = element.getBoundingClientRect();
    if (own && box.width > 1) {
      const [a, b] = [luminance(numbers(style.color)), luminance(behind(element))].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < 4.5) faint.push(element.tagName + "." + element.className + " " + ratio.toFixed(2));
    }
    if (box.right > width + 1 && !element.closest(".wide")) wide.push(element.tagName + "." + element.className);
  }
  return {
    faint, wide, scroll: document.documentElement.scrollWidth > width, text: document.body.innerText,
    language: document.documentElement.lang, title: document.title,
    headings: [...document.querySelectorAll("h1,h2,h3")].map((h) => h.tagName + " " + h.textContent),
    unnamed: [...document.querySelectorAll("img:not([alt]), th:not([scope]), table thead td")].length,
    landmarks: ["header", "main", "footer"].filter((name) => document.querySelectorAll(name).length === 1),
    broken: [...document.images].filter((image) => !image.complete || !image.naturalWidth).length,
    images: document.images.length, scripts: document.scripts.length,
    dead: [...document.querySelectorAll("a[href^='#']")].filter((a) => !document.querySelector(a.getAttribute("href"))).length,
  };
})()
"""


class Browser:
    def __init__(self, profile):
        # Chromium reads from descriptor 3 and writes to 4: what is there must not be one of ours.
        taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(4)]
        to_browser, from_us = os.pipe()
        from_browser, to_us = os.pipe()
        for descriptor in taken:
            os.close(descriptor)
        line = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={profile}"]

        def place():
            os.dup2(to_browser, 3)
            os.dup2(to_us, 4)

        self.process = subprocess.Popen(line, preexec_fn=place, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(to_us)
        self.out, self.source = os.fdopen(from_us, "wb", 0), os.fdopen(from_browser, "rb", 0)
        self.number, self.rest, self.events = 0, b"", []

    def message(self):
        while b"\0" not in self.rest:
            piece = self.source.read(1 << 16)
            if not piece:
                raise SystemExit("the browser has ended")
            self.rest += piece
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, session=None, **params):
        self.number += 1
        call = {"id": self.number, "method": method, "params": params}
        if session:
            call["sessionId"] = session
        self.out.write(json.dumps(call).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise SystemExit(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)


def main(page, out):
    url = pathlib.Path(page).resolve().as_uri()
    seen = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        try:
            target = browser.call("Target.createTarget", url="about:blank")["targetId"]
            session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ["Page", "Runtime", "Log", "Network"]:
                browser.call(f"{domain}.enable", session)
            for width in (1280, 400):
                for scheme in ("light", "dark"):
                    browser.call("Emulation.setDeviceMetricsOverride", session, width=width, height=900,
                                 deviceScaleFactor=1, mobile=False)
                    browser.call("Emulation.setEmulatedMedia", session,
                                 features=[{"name": "prefers-color-scheme", "value": scheme}])
                    browser.call("Page.navigate", session, url=url)
                    end = time.monotonic() + 60
                    while browser.call("Runtime.evaluate", session, expression="document.readyState")["result"].get("value") != "complete":
                        if time.monotonic() > end:
                            raise SystemExit("the page does not load")
                        time.sleep(0.1)
                    probe = browser.call("Runtime.evaluate", session, expression=PROBE, returnByValue=True)
                    seen[f"{width}-{scheme}"] = probe["result"]["value"]
                    shot = browser.call("Page.captureScreenshot", session, captureBeyondViewport=True, format="png")
                    with open(os.path.join(out, f"{width}-{scheme}.png"), "wb") as file:
                        file.write(base64.b64decode(shot["data"]))
            pdf = browser.call("Page.printToPDF", session, preferCSSPageSize=True)
            with open(os.path.join(out, "page.pdf"), "wb") as file:
                file.write(base64.b64decode(pdf["data"]))
        finally:
            browser.process.kill()
            browser.process.wait()
        requests = [event["params"]["request"]["url"] for event in browser.events
                    if event.get("method") == "Network.requestWillBeSent"]
        messages = [event["params"] for event in browser.events
                    if event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")]
    json.dump({"views": seen, "messages": messages,
               "requests": [other for other in requests if other != url and not other.startswith("data:")]}, sys.stdout)


main(*sys.argv[1:])
