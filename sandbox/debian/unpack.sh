# Unpacks the *.deb files of this folder into the folder root. It uses tar, because dpkg-deb itself replaces the links /bin and
# /lib, which Debian has since release 12, by folders. It drops owners and set-user-id bits, which a cache must not have, and
# leaves out files that no program needs at run time: of usr/share, all but what begins as prometheus does. What is in a root is
# listed in status.d, as in images without dpkg, where scanners look for it. The links at the end are those that maintainer
# scripts make.
set -e
mkdir -p root/usr/bin root/usr/sbin root/usr/lib root/usr/lib64 root/var/lib/dpkg/status.d
ln -s usr/bin usr/sbin usr/lib usr/lib64 root
for deb in *.deb; do
	dpkg-deb --field "$deb" > "root/var/lib/dpkg/status.d/$(dpkg-deb --field "$deb" Package)"
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C root --keep-directory-symlink --no-same-owner --no-same-permissions \
		--exclude='./usr/share/[!p]*' --exclude='./usr/share/p[!r]*' --exclude='./usr/share/pr[!o]*' \
		--exclude=./usr/include --exclude='./usr/lib/*/gconv' --exclude='./usr/lib/systemd' --exclude='./lib/systemd'
done
cd root/usr/sbin
for program in *-nft *-nft-restore *-nft-save; do
	if test -e "$program"; then ln -sf "$program" "${program%%-nft*}${program##*-nft}"; fi
done
