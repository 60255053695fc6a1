from tests.replay.test_montgomery_911 import *
import tests.replay.test_montgomery_911 as m
def test_count(calls, span):
    print()
    for a in calls.alerts:
        if a.reason=='opened': print('911',a.channel,a.kind,a.status,a.started_at,[s.series for s in a.signals][:2])
