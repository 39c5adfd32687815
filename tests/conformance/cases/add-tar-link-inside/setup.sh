# run by sh -e in the scratch copy of context/
mkdir x y y/e; ln -s /etc x/e; printf p>y/e/new; tar --owner=0 --group=0 --mtime=@0 -cf a.tar -C x e; tar --owner=0 --group=0 --mtime=@0 -rf a.tar -C y e/new; rm -r x y
