import time,json,pytest,msgspec
from pathlib import Path
from tests.integration.kafka_server import KafkaServer
from tests.integration.conftest import settings_for
from tests.integration.workers import *
from ruptura.shells import topics
@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
def test_b(kafka_cache,tmp_path):
    with KafkaServer(kafka_cache, tmp_path/"k") as k:
        s=tuned(settings_for(k.bootstrap_servers,"b")); assert topics.create(s).ok
        told=scenario(); half=len(told)//2
        one=write_recording(tmp_path/"1.jsonl",told[:half],s); two=write_recording(tmp_path/"2.jsonl",told[half:],s)
        exp=replayed([one,two],s)
        ruptura(s,"publish",str(one),"--speed","max")
        with WorkerProcess(s,tmp_path/"w.log",open("/tmp/fault_brk.py").read()) as w:
            w.wait_ready(); w.wait_consumed(4000)
            k.kill(); t=time.monotonic()
            time.sleep(6); k.start(); print("down",time.monotonic()-t)
            ruptura(s,"publish",str(two),"--speed","max")
            try:
                print([l for l in w.get("/metrics")[1].splitlines() if "late" in l or "duplic" in l])
                for i in range(20):
                    time.sleep(1); print(i, w.counter("ruptura_events_consumed_total"), w.get("/readyz")[0], w.get("/healthz")[1])
                    if w.process.poll() is not None: break
                    if exp.alerts.keys() <= exp.comparable(alerts_on(s)).keys(): break
                print([l for l in w.get("/metrics")[1].splitlines() if "late" in l or "duplic" in l]); print("survived", time.monotonic()-t, w.process.poll()); w.stop()
            except AssertionError as e:
                print("ENDED",w.process.poll(), time.monotonic()-t)
            for l in w.lines: print(l["timestamp"][14:], l["level"], l["logger"], l["event"][:250], l.get("error",""),{k:v for k,v in l.items() if k in("offset","partition","topic","records")})
        for d in alerts_on(s)[:20]: d=json.loads(d); print("ALERT",d["service"],d["kind"],d["status"],d["sequence"],d["started_at"],d["updated_at"])
        for d in in_order(exp.alerts): d=json.loads(d); print("EXP",d["service"],d["kind"],d["status"],d["sequence"],d["started_at"],d["updated_at"])
        f=exp.comparable(alerts_on(s)); print("missing",len(exp.alerts.keys()-f.keys()),"extra",len(f.keys()-exp.alerts.keys()), "diff",[k for k in f if k in exp.alerts and f[k]!=exp.alerts[k]])
        print(in_order(exp.comparable(alerts_on(s)))==in_order(exp.alerts))
