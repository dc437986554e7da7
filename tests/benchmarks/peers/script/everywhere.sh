# host.sh on every address of the file `hosts`, one ssh each, 20 at once.
exec xargs -a hosts -P 20 -I HOST sh -c 'exec ssh -F ssh_config HOST sh -s < host.sh'
