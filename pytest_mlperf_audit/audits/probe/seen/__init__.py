"""What the records of a probe show, before anybody judges it.

evidence   records sorted by block and arm
measures   which part of a latency is compared
outputs    what ids and outputs say, block by block
contrast   one comparison by an exact test
contrasts  all comparisons of the designs
beginning  what a cache that knows the beginning of a prompt may be
naming     which cache explains what was found
"""
