# Starts a profile: the one the MCU names, else the choice for one start, else the default, else any that starts.
# mkimage makes boot.scr of it. flipper-profile writes what it reads; flipper-boot(7) says what that is. It makes do
# with what small U-Boots have: no setexpr, no saveenv, no functions, and i2c may be missing.
for v in profiles default root args words slots bus chip register once tries asked word good state left save; do
  setenv flipper_${v}
done
setenv part "${devtype} ${devnum}:${distro_bootpart}"
setenv dir "${prefix}flipper"
setenv buffer ${pxefile_addr_r}
if load ${part} ${buffer} ${dir}/boot.env; then
  env import -t ${buffer} ${filesize} flipper_profiles flipper_default flipper_root flipper_args flipper_words flipper_slots flipper_bus flipper_chip flipper_register
fi

# Two copies, each with its checksum: the choice for one start, and the starts that are left.
for f in state.bin state.bak; do
  if test -z "${flipper_state}"; then
    if load ${part} ${buffer} ${dir}/${f}; then
      if env import -c ${buffer} ${filesize} flipper_once flipper_tries; then setenv flipper_state ${f}; fi
    fi
  fi
done
setenv flipper_asked "${flipper_default}"
if test -n "${flipper_once}"; then setenv flipper_asked "${flipper_once}"; setenv flipper_once; setenv flipper_save yes; fi

# A slot in the low byte, its complement in the high one. A word that is not in the list says nothing.
if test -n "${flipper_bus}"; then
  if i2c dev ${flipper_bus}; then
    for again in 1 2 3; do
      if test -z "${flipper_word}"; then
        if i2c read ${flipper_chip} ${flipper_register}.2 2 ${buffer}; then
          for w in ${flipper_words}; do if itest.w *${buffer} == ${w}; then setenv flipper_word ${w}; fi; done
        fi
      fi
    done
  fi
fi
for id in ${flipper_profiles}; do
  for s in ${flipper_slots}; do
    if test "${s}" = "${flipper_word}/${id}"; then setenv flipper_asked ${id}; fi
    if test "${s}" = "${flipper_word}/${id}/good"; then setenv flipper_asked ${id}; setenv flipper_good ${id}; fi
  done
done

# A kernel that has not come up has three starts, counted before it has one. Then the one that came up last.
setenv flipper_count 'setenv flipper_left
  for t in ${flipper_tries}; do
    if test "${t}" = "${id}/${kernel}:3"; then setenv flipper_left "${flipper_left} ${id}/${kernel}:2"; setenv flipper_save yes
    elif test "${t}" = "${id}/${kernel}:2"; then setenv flipper_left "${flipper_left} ${id}/${kernel}:1"; setenv flipper_save yes
    elif test "${t}" = "${id}/${kernel}:1"; then setenv flipper_left "${flipper_left} ${id}/${kernel}:0"; setenv flipper_save yes
    else setenv flipper_left "${flipper_left} ${t}"; fi
    if test "${t}" = "${id}/${kernel}:0"; then setenv flipper_good ${id}; fi
  done
  setenv flipper_tries "${flipper_left}"'
setenv flipper_keep 'setenv flipper_save
  env export -c -s 0x400 ${buffer} flipper_once flipper_tries
  for f in state.bak state.bin; do fatwrite ${part} ${buffer} ${dir}/${f} 0x400; done'
setenv flipper_start 'for v in kernel good args fallback; do setenv ${v}; done
  load ${part} ${buffer} ${dir}/profiles/${id}.env && env import -t ${buffer} ${filesize} kernel good args
  if test "${flipper_good}" != "${id}"; then run flipper_count; fi
  if test -n "${flipper_save}"; then run flipper_keep; fi
  if test "${flipper_good}" = "${id}" && test -n "${good}"; then setenv kernel ${good}; setenv fallback flipper.fallback=1; fi
  setenv bootargs "root=${flipper_root} boot=flipper flipper.profile=${id} flipper.kernel=${kernel} ${fallback} ${flipper_args} ${args}"
  load ${part} ${kernel_addr_r} ${dir}/kernels/${kernel}/vmlinuz && load ${part} ${ramdisk_addr_r} ${dir}/kernels/${kernel}/initrd.img && booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdtcontroladdr}
  echo "flipper: ${id} cannot be started with ${kernel}"'
for want in ${flipper_asked} ${flipper_profiles}; do
  for id in ${flipper_profiles}; do
    if test "${id}" = "${want}"; then
      run flipper_start
      if test -n "${good}" && test -z "${fallback}"; then setenv flipper_good ${id}; run flipper_start; fi
    fi
  done
done
echo "flipper: no profile can be started"
# The old shell forgets what the last command said.
exit 1
