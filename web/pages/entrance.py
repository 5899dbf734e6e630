"""Coming in and going out: login, choice of the acting establishment, language, logout."""

from __future__ import annotations

from dataclasses import replace

from ihe.errors import AccessDenied, NotAuthenticated, NotFound
from web.catalogue import LANGUAGES
from web.page import NOBODY, Pages, Redirect, Template, View, Visit
from web.people import Colleague
from web.roles import ADMINISTRATOR, AUDITOR, STEWARDS
from web.session import COOKIE, Session, new_token
from web.store import sessions

PAGES = Pages()
_LOGIN = "110114"
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


@PAGES.get("/", "Start")
def start(visit: Visit) -> View:
    """Everybody's first page."""
    return Redirect(_first_page(visit.session))


def _first_page(session: Session) -> str:
    if session.roles & STEWARDS:
        return "/worklist"
    if AUDITOR in session.roles:
        return "/audit"
    return "/settings" if ADMINISTRATOR in session.roles else "/login"


@PAGES.get("/login", "Login form", roles=NOBODY, event_code=_LOGIN)
def login(visit: Visit) -> View:
    """Who are you?"""
    workbench = visit.app.workbench
    people = list(workbench.people) if _may_choose(visit) else []
    return Template("login.html", {"people": people, "oidc": workbench.oidc, "next": _local(visit.request.one("next"))})


@PAGES.post("/login/demo", "Demonstration login", roles=NOBODY, event_code=_LOGIN)
def demo_login(visit: Visit) -> View:
    """By a click; only in the demonstration, only from this machine."""
    if not _may_choose(visit):
        raise NotFound("there is nothing at this address")
    colleague = visit.app.workbench.people.by_subject(visit.needed("subject"))
    if colleague is None:
        raise NotAuthenticated("this person does not work here")
    return _enter(visit, colleague, colleague.sites, visit.field("next"))


def _may_choose(visit: Visit) -> bool:
    return visit.app.workbench.demo_login and visit.uow.caller.node in _LOOPBACK


@PAGES.get("/login/oidc", "Login by provider", roles=NOBODY, event_code=_LOGIN, writes=True)
def oidc_login(visit: Visit) -> View:
    """Off to the provider."""
    provider = visit.app.workbench.oidc
    if provider is None:
        raise NotFound("no identity provider is set")
    address, pending = provider.begin(f"{visit.request.base_url}/login/callback")
    token = new_token()
    remembered = Session(pending={**pending, "next": _local(visit.request.one("next"))})
    sessions.begin(visit.uow.connection, token, remembered.to_json(), visit.uow.now)
    return Redirect(address, cookies={COOKIE: token})


@PAGES.get("/login/callback", "Return from provider", roles=NOBODY, event_code=_LOGIN, writes=True)
def callback(visit: Visit) -> View:
    """Back from the provider."""
    provider = visit.app.workbench.oidc
    if provider is None:
        raise NotFound("no identity provider is set")
    pending = visit.session.pending
    asserted = provider.finish(pending, visit.request.one("state") or "", visit.request.one("code") or "")
    colleague = visit.app.workbench.people.by_subject(asserted.subject)
    if colleague is None:
        raise AccessDenied("this person does not work here")
    finess = visit.app.workbench.site_finess
    sites = tuple(s for s in colleague.sites if not asserted.finess or finess.get(s, "") in {"", *asserted.finess})
    if colleague.sites and not sites:
        raise AccessDenied("the provider names no activity at an establishment of this person")
    return _enter(visit, colleague, sites, pending.get("next", "/"), asserted.id_token)


def _enter(visit: Visit, colleague: Colleague, sites: tuple[str, ...], there: str, id_token: str = "") -> View:
    """A new session under a new token: one that was planted before the login opens nothing."""
    if visit.token:
        sessions.end(visit.uow.connection, visit.token)
    session = Session(
        colleague.subject,
        colleague.name,
        colleague.roles,
        sites,
        sites[0] if len(sites) == 1 else None,
        id_token=id_token,
    )
    visit.trail.objects.append({"kind": "user", "id": colleague.subject})
    token = new_token()
    sessions.begin(visit.uow.connection, token, session.to_json(), visit.uow.now)
    return Redirect(_local(there) if session.is_open else "/login/site", cookies={COOKIE: token})


@PAGES.get("/login/site", "Choice of establishment", roles=NOBODY, event_code=_LOGIN)
def choose_site(visit: Visit) -> View:
    """For whom do you act?"""
    if not visit.session.subject:
        return Redirect("/login")
    return Template("site.html")


@PAGES.post("/login/site", "Establishment chosen", roles=NOBODY, event_code=_LOGIN)
def site_chosen(visit: Visit) -> View:
    """For this one."""
    site = visit.needed("site")
    if site not in visit.session.sites:
        raise AccessDenied("this establishment is not one of yours")
    chosen = replace(visit.session, site=site, opened={})
    sessions.change(visit.uow.connection, visit.token, chosen.to_json())
    return Redirect("/")


@PAGES.post("/language", "Language", roles=NOBODY)
def language(visit: Visit) -> View:
    """In which language?"""
    wanted = visit.field("language")
    back = _local(visit.field("next"))
    return Redirect(back, cookies={"traitdunion_language": wanted} if wanted in LANGUAGES else {})


@PAGES.post("/logout", "Logout", roles=NOBODY, event_code=_LOGIN)
def logout(visit: Visit) -> View:
    """End of the session, here and at the provider."""
    sessions.end(visit.uow.connection, visit.token)
    provider, id_token = visit.app.workbench.oidc, visit.session.id_token
    address = provider.logout_address(id_token, f"{visit.request.base_url}/login") if provider and id_token else None
    return Redirect(address or "/login", cookies={COOKIE: None})


def _local(path: str | None) -> str:
    """A path of this service, never another's."""
    return path if path and path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
