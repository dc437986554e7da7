# The workload as a shell script for a host as new: what is not there yet is made, nothing is looked at.
set -e
export DEBIAN_FRONTEND=noninteractive
mkdir -m 755 /etc/bench
packages=
for number in 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20; do packages="$packages lab-tool-$number"; done
for number in 1 2 3 4 5; do packages="$packages lab-service-0$number"; done
apt-get -qq -y install $packages > /dev/null
for number in 1 2 3 4 5; do
  groupadd "benchgroup$number"
  useradd -g "benchgroup$number" -s /bin/sh -c "bench user $number" "bench$number"
  echo "bench$number soft nofile $((1000 + number))" >> /etc/security/limits.conf
  printf '# bench %s\n%s 3 * * * root /bin/true %s\n' "$number" "$number" "$number" > "/etc/cron.d/bench-$number"
done
host=$(hostname)
number=1
while [ "$number" -le 50 ]; do
  port=8$number
  {
    printf '# application app-%s, made for %s\n[server]\nname = app-%s\n' "$number" "$host" "$number"
    printf 'host = %s\nport = %s\nworkers = 4\n' "$host" "$port"
    for other in 1 2 3 4 5 6 7 8 9 10; do
      printf '[upstream-%s]\naddress = 10.0.0.%s\n' "$other" "$other"
      printf 'port = %s\nweight = %s\n' "$((port + other))" "$((other * 10))"
    done
    printf '[log]\npath = /var/log/app-%s.log\nlevel = info\n' "$number"
  } > "/etc/bench/app-$number.conf"
  number=$((number + 1))
done
systemctl enable --now --quiet lab-service-01 lab-service-02 lab-service-03 lab-service-04 lab-service-05
