"""The names of `train_lib` that stations, master images and trains use, by `pht-oci`.

Images are named as ever (`HOST/REPO:TAG`, in a Docker or Podman daemon), or as `pht-oci` names them: `oci:DIR:TAG`,
`oci-archive:FILE`, `docker://HOST/REPO:TAG` and so on. Those need no daemon.
"""
