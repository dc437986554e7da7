# The workload as Salt's documentation would write it: states in jinja loops, packages in one state.
/etc/bench:
  file.directory:
    - mode: "0755"

packages:
  pkg.installed:
    - refresh: false
    - pkgs:
{% for number in range(1, 21) %}
      - lab-tool-{{ "%02d" | format(number) }}
{% endfor %}
{% for number in range(1, 6) %}
      - lab-service-0{{ number }}
{% endfor %}

{% for number in range(1, 6) %}
benchgroup{{ number }}:
  group.present

bench{{ number }}:
  user.present:
    - gid: benchgroup{{ number }}
    - shell: /bin/sh
    - fullname: bench user {{ number }}
    - require:
      - group: benchgroup{{ number }}

/etc/security/limits.conf bench{{ number }}:
  file.replace:
    - name: /etc/security/limits.conf
    - pattern: ^bench{{ number }} soft nofile.*$
    - repl: bench{{ number }} soft nofile {{ 1000 + number }}
    - append_if_not_found: true
    - backup: false

/etc/cron.d/bench-{{ number }}:
  file.managed:
    - mode: "0644"
    - contents: |
        # bench {{ number }}
        {{ number }} 3 * * * root /bin/true {{ number }}

lab-service-0{{ number }}:
  service.running:
    - enable: true
    - require:
      - pkg: packages
{% endfor %}

{% for number in range(1, 51) %}
/etc/bench/app-{{ number }}.conf:
  file.managed:
    - source: salt://app.conf.j2
    - template: jinja
    - user: root
    - group: root
    - mode: "0644"
    - context:
        name: app-{{ number }}
        port: {{ "8%d" | format(number) }}
        workers: 4
    - require:
      - file: /etc/bench
{% endfor %}
