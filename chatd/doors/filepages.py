"""The pages that a browser shows for a ticket: to send a file, to fetch one, or why not.

The rule: nothing that a person typed stands in a page but escaped, and nothing in it comes from
elsewhere. The one script is the same for everybody, named by its hash in the policy that forbids
all others (CSP 3); what differs is in attributes. To fetch a file takes no script at all.
"""

import base64
import hashlib
from html import escape
from typing import Final

from chatd.domain.records import Transfer
from chatd.domain.text import size_of

_STYLE: Final = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
dt { opacity: 0.7; }
dd { margin: 0 0 0.5rem; overflow-wrap: anywhere; }
progress { width: 100%; }
"""

_SCRIPT: Final = """
"use strict";
const form = document.querySelector("form");
const bar = document.querySelector("progress");
const say = (text) => { document.querySelector("output").textContent = text; };

async function send(file) {
  const ticket = await fetch(location.pathname, { method: "HEAD" });
  if (!ticket.ok) {
    location.reload();
    return;
  }
  const announced = ticket.headers.get("Upload-Length");
  if (announced !== null && Number(announced) !== file.size) {
    say(`${announced} bytes were announced, and this file has ${file.size}.`);
    return;
  }
  // With at least one byte to send, where there is one, even if all of them are there.
  const here = Number(ticket.headers.get("Upload-Offset"));
  const start = Math.max(0, Math.min(here, file.size - 1));
  const request = new XMLHttpRequest();
  request.open("PUT", location.pathname);
  if (start > 0) {
    request.setRequestHeader("Content-Range", `bytes ${start}-${file.size - 1}/${file.size}`);
  }
  const over = (text) => {
    form.hidden = request.status === 201;
    form.elements.go.disabled = false;
    say(text);
  };
  request.upload.onprogress = (event) => {
    bar.value = (start + event.loaded) / file.size;
    say(`${Math.floor(100 * bar.value)} % of ${file.size} bytes`);
  };
  request.onload = () => over(request.status === 201
    ? `It is there. SHA-256: ${request.responseText.split(" ")[1]}`
    : request.responseText);
  request.onerror = () => over("The connection broke. Send it again: it goes on from there.");
  form.elements.go.disabled = true;
  bar.hidden = false;
  request.send(file.slice(start));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  send(form.elements.file.files[0]).catch(() => say("The server can't be reached."));
});
"""


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


POLICY: Final = (
    f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; "
    "img-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of every page."""


def upload_page(transfer: Transfer, received: int) -> bytes:
    """Where the sender chooses the file, of which the server has so many bytes already."""
    rows = [("To", transfer.to)]
    if transfer.size is not None:
        rows.append(("Size", _exact(transfer.size)))
    if received:
        rows.append(("Of it, the server has", _exact(received)))
    return _page(
        f"Send {transfer.name}",
        f"""<h1>Send <bdi>{escape(transfer.name)}</bdi></h1>
{_list(rows)}
<form>
<p><label>The file: <input type="file" name="file" required></label></p>
<p><button name="go">Send</button></p>
</form>
<p><progress max="1" value="0" aria-label="How much is sent" hidden></progress></p>
<p><output></output></p>
<noscript><p>Without scripts: <code>curl -T FILE</code> and the address of this page.</p></noscript>
<script>{_SCRIPT}</script>""",
    )


def download_page(transfer: Transfer) -> bytes:
    """Where a recipient sees what he is about to fetch."""
    assert transfer.size is not None
    rows = [
        ("From", transfer.sender_name),
        ("Size", _exact(transfer.size)),
        ("SHA-256", transfer.sha256),
    ]
    return _page(
        transfer.name,
        f"""<h1><bdi>{escape(transfer.name)}</bdi></h1>
{_list(rows)}
<p><a href="?download">Download</a></p>
<p>This works until the whole file is fetched.</p>""",
    )


def sentence_page(title: str, sentence: str) -> bytes:
    """A page that says one thing."""
    return _page(title, f"<h1>{escape(title)}</h1>\n<p>{escape(sentence)}</p>")


def _page(title: str, body: str) -> bytes:
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
{body}
</html>
""".encode()


def _list(rows: list[tuple[str, str]]) -> str:
    shown = "\n".join(f"<dt>{escape(term)}<dd><bdi>{escape(text)}</bdi>" for term, text in rows)
    return f"<dl>\n{shown}\n</dl>"


def _exact(count: int) -> str:
    """A size for people, and to the byte where that is something else."""
    short = size_of(count)
    return short if short.endswith(("byte", "bytes")) else f"{short} ({count} bytes)"
