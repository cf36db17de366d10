"""Serves Optuna's dashboard of one store, read only."""

import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from boshnas.errors import InputError
from boshnas.store import Location
from boshnas.store.database import close_storage, open_storage, study_name

_NUM_PORTS = 20  # tried one after the other

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def serve(location: Location, host: str, port: int | None, default_port: int) -> int:
    """Serve until interrupted, which is its end; the address is printed first.

    Args:
        location: Of the store.
        host: Address to listen on.
        port: To listen on; None: the default or one of those after it, whichever is free.
        default_port: See there.

    Raises:
        InputError: If the extra is missing, there is no store, or the address cannot be used.
    """
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise InputError(
            "dashboard: needs optuna-dashboard, which is not installed. "
            "Run: pip install -c constraints.txt -e '.[dashboard]'."
        ) from None
    storage = open_storage(location, read_only=True)
    try:
        study_id = storage.get_study_id_from_name(study_name(location))
        ports = [port] if port is not None else range(default_port, default_port + _NUM_PORTS)
        with _bound(read_only(wsgi(storage)), host, ports) as server:
            sys.stdout.write(f"http://{host}:{server.server_port}/dashboard/studies/{study_id}\n")
            sys.stdout.flush()
            sys.stderr.write("Ctrl-C ends it.\n")
            with suppress(KeyboardInterrupt):
                server.serve_forever()
    finally:
        close_storage(storage)
    return 0


def read_only(application: Application) -> Application:
    """The same application, but for requests that change something."""

    def answer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return application(environ, start_response)
        status = HTTPStatus.FORBIDDEN
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [b'{"reason": "The dashboard of a run is read only: the search alone writes to its store."}']

    return answer


def _bound(application: Application, host: str, ports: Iterable[int]) -> WSGIServer:
    """A server on the first of the ports that is free."""
    reason = ""
    for port in ports:
        try:
            return make_server(host, port, application, _Server, _QuietHandler)
        except (OSError, UnicodeError) as error:  # the latter of a host with a part that is too long
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    raise InputError(f"--host: {host}:{port} cannot be listened on ({reason}). Give another --port or --host.")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Do not ask a name server what this machine is called, which may take long."""
        socket.socket.bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests."""
