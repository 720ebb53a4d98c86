"""What the sensors share: they ask once before they wait in the triggerer, where soft_fail holds as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator

from airflow_provider_whatsapp._compat import AirflowFailException, AirflowSkipException
from airflow_provider_whatsapp.rendering import TextFields

if TYPE_CHECKING:
    from airflow.sdk import Context, PokeReturnValue


class DeferringSensor(TextFields, BaseSensorOperator):
    """A sensor that waits in the triggerer when it is ``deferrable``, which its subclass sets."""

    deferrable: bool

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Ask once.

        :param context: Airflow's context.
        :raises AirflowFailException: Waiting is useless.
        """
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """
        Wait here, or in the triggerer when deferrable.

        :param context: Airflow's context.
        """
        if not self.deferrable:
            return super().execute(context)
        try:
            first = self.poke(context)
        except AirflowFailException as error:
            if self.soft_fail or self.never_fail:
                msg = f"Skipped: {error}"
                raise AirflowSkipException(msg) from error
            raise
        if not first.is_done:
            self._wait_in_triggerer()
        return first.xcom_value

    def _wait_in_triggerer(self) -> NoReturn:
        raise NotImplementedError
