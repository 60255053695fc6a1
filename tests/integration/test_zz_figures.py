import json,time,threading,statistics
import msgspec,pytest
from kafka import KafkaProducer,KafkaConsumer,TopicPartition
from tests.integration.workers import *
from tests.integration.conftest import *
from ruptura.assembly import build_engine
@pytest.mark.integration
def test_fig(tmp_path, topic_settings):
    s=tuned(topic_settings)
    told=scenario()
    rec=write_recording(tmp_path/"a.jsonl",told,s)
    ruptura(s,"publish",str(rec),"--speed","max")
    with WorkerProcess(s,tmp_path/"w.log",open("/tmp/fault_dbg.py").read()) as w:
        print("ready after",w.wait_ready())
        t0=time.monotonic(); c0=None; pts=[]
        while True:
            c=w.counter("ruptura_events_consumed_total"); pts.append((time.monotonic()-t0,c))
            if c>=len(told): break
            time.sleep(0.2)
        print(pts)
        import collections
        print("\n".join("LOG "+str((l["t"],l["took"],l["n"],l["act"])) for l in w.lines if l["event"]=="GM"))
        page=w.get("/metrics")[1]
        print([l for l in page.splitlines() if "batch_" in l and "bucket" not in l])
        cons=KafkaConsumer(bootstrap_servers=s.kafka.bootstrap_servers)
        cons.assign([TopicPartition(s.topics.dead_letter,n) for n in range(4)]); cons.seek_to_end(); [cons.position(tp) for tp in cons.assignment()]
        lat=[]
        with KafkaProducer(bootstrap_servers=s.kafka.bootstrap_servers) as p:
            for i in range(30):
                t=time.monotonic(); p.send(s.topics.tickets,b"bad",b"k%d"%i).get(10)
                while True:
                    got=cons.poll(1000)
                    if got: break
                lat.append(time.monotonic()-t); time.sleep(0.05)
        print("latency s",sorted(round(x,3) for x in lat), statistics.median(lat))
        t=time.monotonic(); w.stop(); print("stop",time.monotonic()-t)
    with WorkerProcess(s,tmp_path/"w.log",open("/tmp/fault_dbg.py").read()) as w:
        print("restart ready",w.wait_ready()); 
        w.kill()
    with WorkerProcess(s,tmp_path/"w.log",open("/tmp/fault_dbg.py").read()) as w:
        print("restart after kill ready",w.wait_ready()); w.stop()
    rows=read_topic(s,f"{s.kafka.group_id}-state-changelog")
    big={}
    for r in rows: big[r.key]=len(r.value or b"")
    print("changelog",len(rows),sum(len(r.value or b"") for r in rows),big)
