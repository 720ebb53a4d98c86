"""What the pytest plugin's sandbox offers under ``.templates`` and ``.clock``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox


class Templates:
    """
    Templates of the sandbox, with what reviewers do to them.

    :param sandbox: The sandbox.
    """

    def __init__(self, sandbox: WhatsAppSandbox) -> None:
        self._sandbox = sandbox

    def create(
        self,
        name: str,
        body: str | None = None,
        *,
        language: str = "en_US",
        category: str = "UTILITY",
        components: list[dict[str, Any]] | None = None,
        named: bool = False,
        status: str = "APPROVED",
    ) -> dict[str, Any]:
        """
        Add a template, approved unless ``status`` says otherwise, and return it; it needs no samples.

        :param name: Its name.
        :param body: Text of a template that has only a body, with ``{{1}}`` or ``{{name}}`` in it.
        :param language: Its language.
        :param category: ``UTILITY``, ``MARKETING`` or ``AUTHENTICATION``.
        :param components: Graph's own JSON, instead of ``body``.
        :param named: Whether its variables have names.
        :param status: Its status.
        :raises SandboxError: WhatsApp would refuse such a template.
        """
        made: dict[str, Any] = self._sandbox.control(
            "PUT",
            "templates",
            name=name,
            language=language,
            category=category,
            components=components if body is None else [{"type": "BODY", "text": body}],
            parameter_format="NAMED" if named else "POSITIONAL",
            status=status,
        )
        return made

    def load(
        self, path: str | Path, *, status: str = "APPROVED", base_url: str | None = None
    ) -> list[tuple[str, str]]:
        """
        Add the templates that files define, in every language, approved unless ``status`` says otherwise.

        Samples of pictures, videos and documents have to exist; the sandbox gets no upload of them.

        :param path: A template file, or a folder of them, as ``templates plan`` takes it.
        :param status: Their status.
        :param base_url: The value of ``{base_url}`` in the URLs of buttons.
        :return: Name and language of each.
        :raises ValueError: A file is wrong; the error says file and line.
        :raises SandboxError: WhatsApp would refuse one of them.
        """
        from airflow_provider_whatsapp.message_templates.files import load

        definitions = load(path, base_url=base_url).definitions.values()
        for each in definitions:
            self._sandbox.control(
                "PUT",
                "templates",
                name=each.name,
                language=each.language,
                category=each.category,
                components=[_without_sample_file(part) for part in each.payload_components()],
                parameter_format=each.parameter_format,
                status=status,
            )
        return [each.key for each in definitions]

    def approve(self, name: str, language: str = "en_US") -> None:
        """
        Approve a template.

        :param name: Its name.
        :param language: Its language.
        :raises SandboxError: There is no such template.
        """
        self._sandbox.control("POST", "templates", name=name, language=language, status="APPROVED")

    def reject(self, name: str, language: str = "en_US", *, reason: str = "INVALID_FORMAT") -> None:
        """
        Reject a template.

        :param name: Its name.
        :param language: Its language.
        :param reason: One of Meta's reasons.
        :raises SandboxError: There is no such template or reason.
        """
        self._sandbox.control(
            "POST", "templates", name=name, language=language, status="REJECTED", rejected_reason=reason
        )

    def pause(self, name: str, language: str = "en_US") -> None:
        """
        Pause a template for its quality: three hours, then six, then for good.

        :param name: Its name.
        :param language: Its language.
        :raises SandboxError: There is no such template.
        """
        self._sandbox.control("POST", "templates", name=name, language=language, status="PAUSED")

    def review_next(
        self,
        name: str = "*",
        *,
        status: str = "APPROVED",
        reason: str | None = None,
        category: str | None = None,
        times: int = 1,
    ) -> None:
        """
        Decide the reviews of templates that do not exist yet.

        :param name: Names of the templates; ``*`` stands for any characters.
        :param status: ``APPROVED`` or ``REJECTED``.
        :param reason: Why they are rejected.
        :param category: The category that they get instead of the requested one.
        :param times: How many reviews; 0 for all.
        """
        fields = {
            "name": name,
            "status": status,
            "rejected_reason": reason,
            "category": category,
            "times": times,
        }
        self._sandbox.control("POST", "reviews", **fields)


def _without_sample_file(part: Any) -> Any:
    """A component without the path of a sample, in cards as well: the sandbox makes a sample of its own."""
    if isinstance(part.get("cards"), list):
        cards = [
            {**card, "components": [_without_sample_file(each) for each in card["components"]]}
            for card in part["cards"]
        ]
        return {**part, "cards": cards}
    if "header_handle" in (part.get("example") or ()):
        return {name: value for name, value in part.items() if name != "example"}
    return part


class Clock:
    """
    The sandbox's clock, which tests move instead of waiting.

    :param sandbox: The sandbox.
    """

    def __init__(self, sandbox: WhatsAppSandbox) -> None:
        self._sandbox = sandbox

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return float(self._sandbox.control("GET", "clock")["now"])

    def advance(self, seconds: float) -> None:
        """
        Move the clock ahead.

        :param seconds: How far.
        """
        self._sandbox.control("POST", "clock", advance=seconds)

    def stop(self) -> None:
        """Stop the clock, so that only :meth:`advance` moves it and a slow machine changes nothing."""
        self._sandbox.control("POST", "clock", stopped=True)

    def go(self) -> None:
        """Let the clock run again from where it stands."""
        self._sandbox.control("POST", "clock", stopped=False)
