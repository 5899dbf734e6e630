"""The demonstration: ten sites feed, a viewer asks, a mistake is made and undone; told as a story.

Everything here is a client of the running service, over real sockets, and shares none of its code for the wire.
"""

from region.demo.story import StoryFault, StoryReport, run_story

__all__ = ["StoryFault", "StoryReport", "run_story"]
