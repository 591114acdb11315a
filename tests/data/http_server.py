"""A web server on the loopback interface that does wrong what servers do wrong: the first part of the path says what.

/good/NAME          the file, ranges understood
/break-N/NAME       hangs up after every N bytes; ranges understood
/break-N-once/NAME  hangs up after N bytes the first time; ranges understood
/no-ranges/NAME     ignores ranges
/long/NAME          announces twice the bytes that it sends
/short/NAME         announces and sends half the bytes
/endless/NAME       sends without end, announcing nothing
/wrong/NAME         other bytes, of the same number
/page/NAME          a page that says sorry, with status 200
/moved/NAME         redirects to /good/NAME
/file/NAME          redirects to a file:// address
/404/NAME, /403/NAME, /500/NAME

Takes the folder with the files, and as long as it lives writes one line for each request after a first one with its port.
"""

import http.server
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
broken = set()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, body, announced=None, headers=()):
        self.send_response(status)
        if announced is not False:
            self.send_header("Content-Length", str(len(body) if announced is None else announced))
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def do_GET(self):
        _, mode, name = self.path.split("/", 2)
        print(self.path, self.headers.get("Range", "-"), flush=True)
        if mode in ("404", "403", "500"):
            return self.reply(int(mode), b"sorry")
        if mode == "page":
            return self.reply(200, b"<html>sorry</html>")
        if mode == "moved":
            return self.reply(302, b"", headers=[("Location", "/good/" + name)])
        if mode == "file":
            return self.reply(302, b"", headers=[("Location", (folder / name).as_uri())])
        path = folder / name
        if not path.is_file():
            return self.reply(404, b"no such file")
        body = path.read_bytes()
        if mode == "endless":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            while True:
                self.wfile.write(b"x" * 65536)
        if mode == "wrong":
            body = bytes(byte ^ 1 for byte in body)
        if mode == "short":
            body = body[: len(body) // 2]
        status, headers = 200, []
        asked = self.headers.get("Range")
        if asked and mode != "no-ranges":
            start = int(asked.removeprefix("bytes=").split("-")[0])
            if start >= len(body):
                return self.reply(416, b"", headers=[("Content-Range", f"bytes */{len(body)}")])
            headers = [("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")]
            status, body = 206, body[start:]
        announced = len(body)
        if mode.startswith("break-") and not (mode.endswith("-once") and self.path in broken):
            broken.add(self.path)
            body = body[: int(mode.split("-")[1])]
        if mode == "long":
            announced *= 2
        self.reply(status, body, announced, headers)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
