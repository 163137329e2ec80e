"""Submissions to MLPerf Endpoints: curves of points, judged by the automated checks of the rules, each a test.

    place      where the curves of a tree lie, and the ids of their tests
    point      the files of a point, read
    regions    which concurrencies are low, medium and high
    submitted  rules on what was handed in: files, points, seeds, one system
    measured   rules on each point's run: load, duration, counts, warm-up
    figures    do a point's figures follow from each other
    accuracy   scores in each region, and the model's target
    caching    what request logs say of a cache, where there are any
    published  one test judged

Rules: mlcommons/endpoints_policies `endpoints_rules.md` version 1.0 (2026-11; sections 5, 6, 8 and 9.1), as MLCommons'
own checker reads them: endpoints-submission-cli 1.5.3.0, `submission_checker`. Where the two differ, a check says so.
"""
