# run by sh -e in the scratch copy of context/
mv Dockerfile dockerfile
