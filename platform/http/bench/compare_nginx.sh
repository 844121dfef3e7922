#!/bin/sh
# Requests a second of bench_http and of nginx's `return 200`, in turns, one worker each, measured by wrk.
#
#   platform/http/bench/compare_nginx.sh build/release/bin/bench_http [rounds] [seconds]
set -eu
binary=$1
rounds=${2:-3}
seconds=${3:-5}
work=$(mktemp -d)
trap 'kill $ours $theirs 2>/dev/null || true; rm -rf "$work"' EXIT
ours= theirs=
cat > "$work/nginx.conf" <<CONF
daemon off; pid $work/pid; error_log $work/error.log; worker_processes 1;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000; client_body_temp_path $work; proxy_temp_path $work;
  fastcgi_temp_path $work; uwsgi_temp_path $work; scgi_temp_path $work;
  server { listen 127.0.0.1:18081; location /x { default_type text/plain; return 200 "hello\n"; } }
}
CONF
nginx -c "$work/nginx.conf" 2>/dev/null & theirs=$!
"$binary" 18082 1 > /dev/null & ours=$!
sleep 0.5
rate() { wrk -t1 -c32 -d"$1" "http://127.0.0.1:$2/x" | awk '/Requests\/sec/ {print $2}'; }
rate 1 18081 > /dev/null; rate 1 18082 > /dev/null
for round in $(seq "$rounds"); do
  nginx=$(rate "$seconds" 18081)
  starling=$(rate "$seconds" 18082)
  echo "$nginx $starling" | awk '{printf "nginx %.0f/s  starling %.0f/s  ratio %.2f\n", $1, $2, $2 / $1}'
done
