"""Old name of ``lib.evidence.ranking``, kept until the next release."""

from lib.evidence.ranking import BEST, PAPER, scoring_criterion, threshold_score

__all__ = ["BEST", "PAPER", "scoring_criterion", "threshold_score"]
