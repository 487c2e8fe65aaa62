//! What `--help` shows at its end. Each example runs as it stands against the router that `make run` starts.

pub(super) const ALL: &str = "\
Example, against the router that `make run` starts; each scenario's --help has its own:
  crosspoint-loadtest fanout -n 100 --pid $(pidof crosspoint)

How to read the figures:
  Closed loop (no --rate): the next message is sent when an earlier one has fully arrived. It shows the highest
  rate; its latencies grow with --in-flight and say little. Open loop (--rate): messages are sent at fixed times
  and latency counts from the intended time, so it says what users see at that rate.
  'harness' is this program: near 100 % of a core, rates are its own limit, not the router's.
  Every payload carries its sender, number and time; each receiver checks that all arrive, once, in order.

Exit status: 0 all went well; 1 something was lost, repeated, reordered or changed, or a call failed; 2 the run failed: it
could not be set up, or the router closed a connection or said what it should not; whatever was found until then is
reported.";

pub(super) const FANOUT: &str = "\
Examples:
  100 subscribers, 16 publications under way, as fast as the router can:
    crosspoint-loadtest fanout -n 100 --in-flight 16 --pid $(pidof crosspoint)
  The same at a fixed rate, for latencies (open loop: late is late, whoever is to blame):
    crosspoint-loadtest fanout -n 100 --rate 50 --duration 20s
  Half the subscribers JSON, half MessagePack, over RawSocket:
    crosspoint-loadtest fanout --url rs://127.0.0.1:8080 --serializer json,msgpack";

pub(super) const TOPICS: &str = "\
Example: 1000 topics; of 1000 subscribers, half have a topic, half a prefix of 10 topics:
  crosspoint-loadtest topics --exact 1 --prefix 1 --wildcard 0 --rate 200 --pid $(pidof crosspoint)";

pub(super) const RPC: &str = "\
Example: 10 callers with 4 calls each at a time, 10 callees of one shared procedure:
  crosspoint-loadtest rpc --callers 10 --calls 4 --callees 10 --procedures shared --pid $(pidof crosspoint)";

pub(super) const CONNECT: &str = "\
Example: 10,000 sessions as fast as possible, then their memory after 10 s of silence:
  crosspoint-loadtest connect --sessions 10000 --idle 10s --pid $(pidof crosspoint)";

pub(super) const IDLE: &str = "\
Example: 10,000 sessions with a subscription each, for half a minute:
  crosspoint-loadtest idle --sessions 10000 --duration 30s --pid $(pidof crosspoint)";

pub(super) const SLOW: &str = "\
Example: 5 of 100 subscribers stop reading for 10 s; what do the others notice?
  crosspoint-loadtest slow -n 95 --slow 5 --for 10s --rate 200 --size 1024 --pid $(pidof crosspoint)";

pub(super) const NOISY: &str = "\
Example: a publication to 5,000 subscribers every 200 ms beside quiet calls; the report as a page with plots:
  crosspoint-loadtest noisy -n 5000 --noise-every 200ms --pid $(pidof crosspoint) --html noisy.html";

pub(super) const CHURN: &str = "\
Example: 200 sessions come each second, subscribe, and leave after 2 s:
  crosspoint-loadtest churn --churn 200 --stay 2s --joining subscribe --pid $(pidof crosspoint)";

pub(super) const COMPARE: &str = "\
Example: two runs side by side:
  crosspoint-loadtest rpc --rate 1000 --pid $(pidof crosspoint) --json before.json
  crosspoint-loadtest rpc --rate 1000 --pid $(pidof crosspoint) --json after.json
  crosspoint-loadtest compare before.json after.json --html both.html";
