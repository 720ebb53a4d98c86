"""The hook's other methods: media, templates, numbers, connections, and the status of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient


class Management:
    """The methods of :class:`~airflow_provider_whatsapp.hooks.maton_whatsapp.MatonWhatsAppHook` that do not send."""

    if TYPE_CHECKING:  # what the hook provides

        @property
        def client(self) -> WhatsAppClient:
            """See the hook."""

    def upload_media(self, source: Any, *, filename: str | None = None, mime_type: str | None = None) -> str:
        """
        Upload a file and return its media ID, which is valid for 30 days and only for the sending number.

        :param source: A path, an ``ObjectStoragePath`` (or its URL), bytes or a binary file object.
        :param filename: Name of the file; None: its own name.
        :param mime_type: MIME type; None: derived from the content and the name.
        """
        from airflow_provider_whatsapp.hooks.media_source import opened

        return self.client.media.upload(opened(source), filename=filename, mime_type=mime_type)

    def upload_template_sample(self, source: Any, *, filename: str | None = None) -> str:
        """
        Upload the sample of a template's media header and return its handle.

        :param source: A path, an ``ObjectStoragePath`` (or its URL), bytes or a binary file object: PDF, JPEG, PNG
            or MP4.
        :param filename: Name of the file; None: its own name.
        """
        from airflow_provider_whatsapp.hooks.media_source import opened

        return self.client.media.upload_sample(opened(source), filename=filename)

    def get_media(self, media_id: str) -> dict[str, Any]:
        """
        Return the metadata of an uploaded file.

        :param media_id: The file's media ID.
        """
        return self.client.media.get(media_id)

    def delete_media(self, media_id: str) -> None:
        """
        Delete an uploaded file.

        :param media_id: The file's media ID.
        """
        self.client.media.delete(media_id)

    def list_templates(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """
        Yield the account's templates.

        :param filters: As for :meth:`~airflow_provider_whatsapp.client.resources.templates.Templates.list`.
        """
        return self.client.templates.list(**filters)

    def get_template(self, name: str, language: str = "en_US") -> dict[str, Any] | None:
        """
        Return a template, or None if the account has none with this name in this language.

        :param name: Name of the template.
        :param language: Language of the template.
        """
        return self.client.templates.find(name, language)

    def create_template(
        self, name: str, language: str, category: str, components: Any = None, **options: Any
    ) -> dict[str, Any]:
        """
        Submit a template to Meta's review and return its ``id``, ``status`` and ``category``.

        :param name: Name of the template.
        :param language: Language of the template.
        :param category: ``AUTHENTICATION``, ``MARKETING`` or ``UTILITY``.
        :param components: Graph's own components.
        :param options: Further fields, named as in Graph.
        """
        return self.client.templates.create(
            name=name, language=language, category=category, components=components, **options
        )

    def edit_template(self, template_id: str, **changes: Any) -> dict[str, Any]:
        """
        Change a template; Meta reviews it again.

        :param template_id: ID of the template.
        :param changes: The fields to change.
        """
        return self.client.templates.edit(template_id, **changes)

    def delete_template(self, name: str, template_id: str | None = None) -> None:
        """
        Delete a template in all its languages, or in one.

        :param name: Name of the template.
        :param template_id: ID of the template in one language; None: delete all its languages.
        """
        self.client.templates.delete(name=name, template_id=template_id)

    def get_phone_number(self) -> dict[str, Any]:
        """Return the sending number: display number, verified name, quality and so on."""
        return self.client.phone_numbers.get()

    def list_phone_numbers(self) -> Iterator[dict[str, Any]]:
        """Yield the account's numbers."""
        return self.client.phone_numbers.list()

    def get_business_profile(self) -> dict[str, Any]:
        """Return the sending number's business profile, which recipients see."""
        return self.client.business_profile.get()

    def update_business_profile(self, **changes: Any) -> None:
        """
        Change the given fields of the sending number's business profile.

        :param changes: The fields to change.
        """
        self.client.business_profile.update(**changes)

    def list_connections(self, **filters: Any) -> list[dict[str, Any]]:
        """
        Return the Maton account's WhatsApp connections.

        :param filters: ``status`` and ``limit``.
        """
        return self.client.connections.list(**filters)

    def create_connection(self) -> dict[str, Any]:
        """Create a Maton connection; open the returned ``url`` in a browser to authorise it."""
        return self.client.connections.create()

    def get_maton_connection(self, connection_id: str) -> dict[str, Any]:
        """
        Return one Maton connection (``get_connection`` is Airflow's own, on every hook).

        :param connection_id: ID of the Maton connection.
        """
        return self.client.connections.get(connection_id)

    def delete_connection(self, connection_id: str) -> None:
        """
        Delete a Maton connection.

        :param connection_id: ID of the Maton connection.
        """
        self.client.connections.delete(connection_id)

    def graph(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """
        Make any call to Graph that this package has no method for, and return the JSON object of its answer.

        The call uses the connection's key and rate limit, and the same retries, errors and masking as every other
        call.

        .. code-block:: python

            from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

            hook = MatonWhatsAppHook()
            account = hook.graph("GET", "{waba_id}", params={"fields": "name,currency"})

        :param method: ``GET``, ``POST``, ``PUT`` or ``DELETE``. A ``POST`` whose answer was lost is not repeated.
        :param path: Path below the version, for example ``"{waba_id}/message_templates"``. ``{phone_number_id}`` and
            ``{waba_id}`` are replaced by the hook's IDs, or the connection's.
        :param params: Query parameters; the hook leaves out those that are None, and writes lists and dicts as JSON.
        :param json: The body; None for a ``GET``.
        :raises PayloadError: Method, path, params or json is not valid; nothing was sent.
        :raises OutcomeUnknownError: The answer to a POST was lost; WhatsApp may have carried it out.
        :raises APIError: WhatsApp or the gateway refused.
        """
        return self.client.graph.call(method, path, params, json)

    def analytics(self, kind: str, start: Any, end: Any, **options: Any) -> Iterator[dict[str, Any]]:
        """
        Yield the account's analytics, one row per data point.

        :param kind: ``pricing``, ``messaging``, ``template`` or ``conversation``.
        :param start: First day or moment.
        :param end: The day or moment after the last.
        :param options: ``granularity``, ``timezone``, ``templates``, ``phone_numbers`` and ``country_codes``, as for
            :meth:`~airflow_provider_whatsapp.client.resources.analytics.Analytics.rows`.
        :raises PayloadError: An argument is wrong, or ``start`` is further back than Meta keeps data.
        """
        return self.client.analytics.rows(kind, start, end, **options)

    def get_message_status(self, message_id: str) -> dict[str, Any]:
        """
        Return how far a message got, from WhatsApp's message history: ``{"status": ..., "timestamp": ...,
        "error": ...}``. Meta opens the history to some apps only.

        :param message_id: The message's wamid.
        """
        return self.client.history.status(message_id)
