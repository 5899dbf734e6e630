"""Submissions as a document source sends them.

Source: ITI TF-2: 3.42.4.1.2.
"""

from __future__ import annotations

from xds.domain.model import Submission
from xds.translate.ebxml_vocabulary import LCM, RIM
from xds.translate.ebxml_writer import submitted


def submission_request(submission: Submission) -> str:
    """``lcm:SubmitObjectsRequest`` of a submission, with the namespaces it needs."""
    objects = "".join(submitted(each) for each in submission.objects)
    return (
        f'<lcm:SubmitObjectsRequest xmlns:lcm="{LCM}"><RegistryObjectList xmlns="{RIM}">{objects}'
        "</RegistryObjectList></lcm:SubmitObjectsRequest>"
    )
