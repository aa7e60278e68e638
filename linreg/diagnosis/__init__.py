"""Why does the loss rise, or not come down? Causes with evidence, remedies, and the proof that they work."""

from linreg.diagnosis.diagnosis import Diagnosis, diagnose
from linreg.diagnosis.findings import CAUSES, Finding
from linreg.diagnosis.remedies import Remedy

__all__ = ["CAUSES", "Diagnosis", "Finding", "Remedy", "diagnose"]
