# run by sh -e in the scratch copy of context/
mkdir x y y/e; ln -s /etc x/e; printf p>y/e/new; tar -cf a.tar -C x e; tar -rf a.tar -C y e/new; rm -r x y
