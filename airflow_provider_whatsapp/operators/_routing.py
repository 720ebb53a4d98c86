"""What the operators that send templates share: the endpoint for marketing, and the expected category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.operators._arguments import flag, one_of, optional
from airflow_provider_whatsapp.operators._declare import Argument
from airflow_provider_whatsapp.operators._delivery import DeliveringOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_whatsapp.client.resources.accounts import MarketingStatus
    from airflow_provider_whatsapp.delivery.approved import Approved
    from airflow_provider_whatsapp.delivery.routing import Router
    from airflow_provider_whatsapp.operators._declare import Arguments

_SECONDS = 5.0
"""Seconds after which the task stops asking for the account's onboarding, and uses ``/messages``."""


def _category(name: str, value: Any) -> str:
    word = value.strip().upper() if isinstance(value, str) else value
    return one_of("AUTHENTICATION", "MARKETING", "UTILITY")(name, word)


ROUTING: Arguments = {
    "marketing": Argument(one_of("auto", "cloud_api", "strict"), shown=True),
    "message_activity_sharing": Argument(optional(flag), shown=True),
    "expect_category": Argument(optional(_category), shown=True),
}
"""The arguments of :class:`RoutesTemplates`; each operator puts them where it wants."""


class RoutesTemplates(DeliveringOperator):
    """
    A task that sends a template through the endpoint that Meta has for its category.

    :param marketing: ``auto``: send a template whose category is MARKETING by ``/marketing_messages`` if the account
        is onboarded, everything else by ``/messages``; ``cloud_api``: never; ``strict``: only there. (templated)
    :param message_activity_sharing: Whether Meta may use what recipients do with a marketing message; None: as the
        account is set. (templated)
    :param expect_category: ``UTILITY``, ``MARKETING`` or ``AUTHENTICATION``: send nothing if Meta has moved the
        template to another category. None: any. (templated)
    """

    template_name: Any
    language: Any
    check_template: Any

    def __init__(
        self,
        *,
        marketing: str = "auto",
        message_activity_sharing: bool | str | None = None,
        expect_category: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.marketing: Any = marketing
        self.message_activity_sharing: Any = message_activity_sharing
        self.expect_category: Any = expect_category
        self._approved: Approved | None = None

    def _send(self, context: Context) -> dict[str, Any]:
        self._check_routing()
        return super()._send(context)

    def _check_routing(self) -> None:
        """Refuse arguments that contradict each other, before any request."""
        from airflow_provider_whatsapp.client.errors import PayloadError

        given = [name for name in ROUTING if getattr(self, name) not in (None, "auto", "cloud_api")]
        if given and not self.template_name:
            raise PayloadError("works only with a template", field=given[0], advice="Give template_name.")
        if self.marketing == "cloud_api" and self.message_activity_sharing is not None:
            raise PayloadError(
                'needs the Marketing Messages API, and marketing is "cloud_api"',
                field="message_activity_sharing",
                advice="Leave one of the two out.",
            )
        if self.expect_category is not None and not self.check_template:
            raise PayloadError(
                "needs a look-up of the template, and check_template is False",
                field="expect_category",
                advice="Leave one of the two out.",
            )

    def _look_up(self, name: str, language: str, **options: Any) -> Approved | None:
        """Look the template up; if a category is expected, refuse another one and an unknown one."""
        required = self.expect_category is not None
        found = super()._look_up(name, language, required=required, **options)
        if found is not None:
            if self.expect_category is not None:
                found.check_category(self.expect_category)
            announced = found.announced_category
            if announced is not None:
                self.log.warning(
                    "WhatsApp: Meta has announced that it will move the template from %s to %s, which changes its "
                    "price",
                    found.category,
                    announced,
                )
        self._approved = found
        return found

    def _route(self) -> Router | None:
        """Return what chooses the endpoint; ask for the account's status if the choice depends on it."""
        if not self.template_name:
            return None
        from airflow_provider_whatsapp.delivery.routing import Router, choose_endpoint

        approved, status = self._approved, self._status()
        endpoint = choose_endpoint(self.marketing, approved, status)
        category = approved.known_category if approved is not None else None
        if status is not None and self.marketing == "auto" and endpoint == "messages":
            self.log.warning(
                "WhatsApp: the template is MARKETING, and leaves by /messages because the account is not onboarded "
                "to the Marketing Messages API (%s). Meta is expected to refuse such templates at /messages from "
                "October 2027: accept the API's terms in WhatsApp Manager before.",
                status.onboarding or "its status is not known",
            )
        elif endpoint != "messages":
            self.log.info("WhatsApp: the template is %s; its messages leave by /%s", category, endpoint)
        return Router(
            self._send_to,
            mode=self.marketing,
            endpoint=endpoint,
            category=category,
            activity_sharing=self.message_activity_sharing,
            permit=self.hook.client.messages.permit,
        )

    def _status(self) -> MarketingStatus | None:
        """Return what the account may do with a marketing template; None: it decides nothing, or cannot be read."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError

        known = self._approved.known_category if self._approved is not None else None
        client = self.hook.client
        if self.marketing == "cloud_api" or known != "MARKETING" or not client.config.waba_id:
            return None
        try:
            with client.within(_SECONDS) as brief:
                return brief.account.marketing_status()
        except WhatsAppError as error:
            self.log.warning(
                "WhatsApp: cannot read whether the account is onboarded to the Marketing Messages API: %s",
                error,
            )
            return None
