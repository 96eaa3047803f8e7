//! A disk that is made up: a page cache that is lost when the power fails, files torn at sectors, folders whose
//! changes are lost unless they were synced, a disk that is full, errors, and an end at any operation.
//!
//! It keeps of what was not synced what the seed says: nothing, everything, or any of it, sector by sector. Of
//! what happened in a folder it keeps the beginning. A sync that failed leaves what it was to make durable
//! unsynced; a later one that succeeds makes it so.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_connectors::host::{Disk, DiskFile, Held, How, Listed};
use bellwether_engine::time::EventTime;

use super::chance::Chance;
use super::world::World;

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;
/// When time begins.
pub(crate) const EPOCH: EventTime = EventTime::from_secs(1_772_359_200);

/// How a life of the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fall {
    /// The process is killed: the disk has everything.
    Killed,
    /// The power fails: the disk has what was synced.
    PowerCut,
}

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// It takes nothing more.
    pub(crate) full: bool,
    /// The operation after so many fails.
    pub(crate) error_in: Option<u64>,
    /// The operation after so many is the last.
    pub(crate) fall_in: Option<(u64, Fall)>,
}

/// The disk. Clones share it.
#[derive(Clone)]
pub(crate) struct MadeUpDisk(Arc<Mutex<State>>);

struct State {
    world: World,
    chance: Chance,
    files: BTreeMap<u64, File>,
    names: Names,
    durable: Names,
    /// What happened in folders since they were synced, in order.
    unsynced: Vec<Happened>,
    held: BTreeSet<PathBuf>,
    next: u64,
    faults: Faults,
    /// It answers nothing any more: the process is falling.
    fell: Option<Fall>,
    /// An error was given since the last start.
    failed: bool,
}

#[derive(Clone, Default)]
struct Names {
    folders: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, u64>,
}

#[derive(Clone)]
enum Happened {
    Folder(PathBuf),
    Made(PathBuf, u64),
    Renamed(PathBuf, PathBuf, u64),
    Removed(PathBuf),
}

impl Happened {
    fn folder(&self) -> &Path {
        let (Happened::Folder(path) | Happened::Made(path, _) | Happened::Renamed(path, ..) | Happened::Removed(path)) =
            self;
        path.parent().unwrap_or(Path::new("/"))
    }
}

impl Names {
    fn take(&mut self, happened: &Happened) {
        match happened {
            Happened::Folder(path) => {
                self.folders.insert(path.clone());
            }
            Happened::Made(path, file) => {
                self.files.insert(path.clone(), *file);
            }
            Happened::Renamed(from, to, file) => {
                self.files.remove(from);
                self.files.insert(to.clone(), *file);
            }
            Happened::Removed(path) => {
                self.files.remove(path);
            }
        }
    }
}

struct File {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that differ from what is durable.
    dirty: BTreeSet<u64>,
    modified: EventTime,
}

impl MadeUpDisk {
    /// An empty one.
    pub(crate) fn new(world: &World, seed: u64) -> MadeUpDisk {
        let root = Names { folders: BTreeSet::from([PathBuf::from("/")]), files: BTreeMap::new() };
        MadeUpDisk(Arc::new(Mutex::new(State {
            world: world.clone(),
            chance: Chance::new(seed, "disk"),
            files: BTreeMap::new(),
            names: root.clone(),
            durable: root,
            unsynced: Vec::new(),
            held: BTreeSet::new(),
            next: 0,
            faults: Faults::default(),
            fell: None,
            failed: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is wrong with it.
    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults);
    }

    /// Whether an error was given since the last start.
    pub(crate) fn failed(&self) -> bool {
        self.lock().failed
    }

    /// How the process falls, if it does.
    pub(crate) fn fell(&self) -> Option<Fall> {
        self.lock().fell
    }

    /// From here on it answers nothing.
    pub(crate) fn fall(&self, fall: Fall) {
        self.lock().fell.get_or_insert(fall);
    }

    /// It answers again, with what is left.
    pub(crate) fn start_again(&self) {
        let mut state = self.lock();
        if state.fell.take() == Some(Fall::PowerCut) {
            state.lose();
        }
        state.held.clear();
        state.faults.fall_in = None;
        state.faults.error_in = None;
        state.failed = false;
    }

    /// Flips a bit of the newest file in `folder` that ends in `suffix`.
    pub(crate) fn damage_newest(&self, folder: &Path, suffix: &str) {
        let mut state = self.lock();
        let here = |path: &&PathBuf| path.parent() == Some(folder) && path.to_string_lossy().ends_with(suffix);
        let Some(file) = state.names.files.keys().rfind(here).map(|path| state.names.files[path]) else { return };
        let length = state.files[&file].bytes.len();
        if length > 0 {
            let at = state.chance.below(length);
            let file = state.files.get_mut(&file).expect("it has a name");
            file.bytes[at] ^= 1;
            if let Some(byte) = file.durable.get_mut(at) {
                *byte ^= 1;
            }
        }
    }
}

impl State {
    fn note(&self, what: &str, path: &Path, number: u64) {
        let length = path.as_os_str().len() as u64;
        self.world
            .note((number << 8) ^ length, |line| line.push_str(&format!("disk: {what} {} {number}", path.display())));
    }

    fn now(&self) -> EventTime {
        EventTime(EPOCH.0 + self.world.now().as_nanos() as i64)
    }

    fn alive(&self) -> io::Result<()> {
        if self.fell.is_some() { Err(io::Error::other("nobody is there")) } else { Ok(()) }
    }

    /// An operation that changes something: it may be the last, or fail.
    fn changes(&mut self) -> io::Result<()> {
        self.alive()?;
        if let Some((left, fall)) = &mut self.faults.fall_in {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => {
                    self.fell = Some(*fall);
                    return Err(io::Error::other("the last operation"));
                }
            }
        }
        if let Some(left) = &mut self.faults.error_in {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => {
                    self.faults.error_in = None;
                    return Err(self.fails(io::Error::other("an error of the disk")));
                }
            }
        }
        Ok(())
    }

    fn fails(&mut self, error: io::Error) -> io::Error {
        self.failed = true;
        self.world.note(1, |line| line.push_str("disk: fails"));
        error
    }

    fn full(&mut self) -> io::Error {
        self.fails(io::ErrorKind::StorageFull.into())
    }

    fn happened(&mut self, happened: Happened) {
        self.names.take(&happened);
        self.unsynced.push(happened);
    }

    fn sync_folder(&mut self, folder: &Path) {
        let (here, elsewhere) =
            std::mem::take(&mut self.unsynced).into_iter().partition(|h: &Happened| h.folder() == folder);
        self.unsynced = elsewhere;
        let here: Vec<Happened> = here;
        here.iter().for_each(|happened| self.durable.take(happened));
    }

    /// The power fails.
    fn lose(&mut self) {
        // What of it survives: nothing, everything, or any of it.
        let mercy = self.chance.pick(&[0, 100, 50, 20, 80]);
        let mut folders: BTreeMap<PathBuf, u64> = BTreeMap::new();
        for happened in std::mem::take(&mut self.unsynced) {
            let folder = happened.folder().to_owned();
            let chance = &mut self.chance;
            let ended = folders.entry(folder).or_default();
            if *ended == 0 && chance.percent(mercy) {
                self.durable.take(&happened);
            } else {
                *ended = 1;
            }
        }
        // What is in a folder that is not there is not there either.
        let folders = self.durable.folders.clone();
        let whole = |path: &Path| path.ancestors().skip(1).all(|above| folders.contains(above));
        self.durable.folders.retain(|path| whole(path));
        let folders = self.durable.folders.clone();
        self.durable.files.retain(|path, _| path.ancestors().skip(1).all(|above| folders.contains(above)));
        self.names = self.durable.clone();
        let named: BTreeSet<u64> = self.names.files.values().copied().collect();
        self.files.retain(|id, _| named.contains(id));
        for file in self.files.values_mut() {
            file.lose(&mut self.chance, mercy);
        }
    }
}

impl File {
    fn write(&mut self, bytes: &[u8], at: u64) {
        let (from, to) = (at.min(self.bytes.len() as u64), at + bytes.len() as u64);
        if self.bytes.len() < to as usize {
            self.bytes.resize(to as usize, 0);
        }
        self.bytes[at as usize..to as usize].copy_from_slice(bytes);
        self.dirty.extend(from / SECTOR..to.div_ceil(SECTOR));
    }

    fn cut(&mut self, bytes: u64) {
        let from = bytes.min(self.bytes.len() as u64);
        self.bytes.resize(bytes as usize, 0);
        self.dirty.extend(from / SECTOR..bytes.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.durable.resize(self.bytes.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.keep(sector);
        }
    }

    /// What is in a sector becomes durable.
    fn keep(&mut self, sector: u64) {
        let from = ((sector * SECTOR) as usize).min(self.durable.len()).min(self.bytes.len());
        let to = (((sector + 1) * SECTOR) as usize).min(self.durable.len()).min(self.bytes.len());
        self.durable[from..to].copy_from_slice(&self.bytes[from..to]);
    }

    fn lose(&mut self, chance: &mut Chance, mercy: u64) {
        if self.durable.len() != self.bytes.len() && chance.percent(mercy) {
            self.durable.resize(self.bytes.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if chance.percent(mercy) {
                self.keep(sector);
            }
        }
        self.bytes.clone_from(&self.durable);
    }
}

impl std::fmt::Debug for MadeUpDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a disk that is made up")
    }
}

impl Disk for MadeUpDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.alive()?;
        let missing = |above: &&Path| !state.names.folders.contains(*above);
        let made: Vec<PathBuf> = folder.ancestors().take_while(missing).map(Path::to_owned).collect();
        for path in made.into_iter().rev() {
            state.changes()?;
            let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
            state.happened(Happened::Folder(path));
            // As the real one does.
            state.changes()?;
            state.sync_folder(&parent);
        }
        Ok(())
    }

    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.alive()?;
        let known = state.names.files.get(path).copied();
        let id = if let Some(id) = known {
            if how == How::Fresh {
                state.changes()?;
                state.files.get_mut(&id).expect("it has a name").cut(0);
            }
            id
        } else {
            if how == How::Read || !state.names.folders.contains(path.parent().unwrap_or(Path::new("/"))) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.changes()?;
            if state.faults.full {
                return Err(state.full());
            }
            state.next += 1;
            let (id, modified) = (state.next, state.now());
            state.note("make", path, 0);
            state.files.insert(id, File { bytes: Vec::new(), durable: Vec::new(), dirty: BTreeSet::new(), modified });
            state.happened(Happened::Made(path.to_owned(), id));
            id
        };
        Ok(Box::new(OpenFile { disk: self.clone(), path: path.to_owned(), id }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let state = self.lock();
        state.alive()?;
        if !state.names.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let here = state.names.files.iter().filter(|(path, _)| path.parent() == Some(folder));
        let listed = here.map(|(path, id)| {
            let file = &state.files[id];
            Listed { path: path.clone(), bytes: file.bytes.len() as u64, modified: file.modified }
        });
        Ok(listed.collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.changes()?;
        let id = *state.names.files.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.note("rename to", to, 0);
        state.happened(Happened::Renamed(from.to_owned(), to.to_owned(), id));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.changes()?;
        if !state.names.files.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.note("remove", path, 0);
        state.happened(Happened::Removed(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.changes()?;
        state.sync_folder(folder);
        Ok(())
    }

    fn hold(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        drop(self.open(path, How::Write)?);
        let new = self.lock().held.insert(path.to_owned());
        Ok(new.then(|| Box::new(Holding(self.clone(), path.to_owned())) as Box<dyn Held>))
    }
}

struct Holding(MadeUpDisk, PathBuf);

impl Held for Holding {}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.fell.is_none() {
            state.held.remove(&self.1);
        }
    }
}

struct OpenFile {
    disk: MadeUpDisk,
    path: PathBuf,
    id: u64,
}

impl OpenFile {
    /// Does something to the file, which its folder may have forgotten: then to nothing that lasts.
    fn with<T: Default>(&self, state: &mut State, work: impl FnOnce(&mut File) -> T) -> T {
        let now = state.now();
        state
            .files
            .get_mut(&self.id)
            .map(|file| {
                file.modified = now;
                work(file)
            })
            .unwrap_or_default()
    }
}

impl DiskFile for OpenFile {
    fn bytes(&self) -> io::Result<u64> {
        let state = self.disk.lock();
        state.alive()?;
        Ok(state.files.get(&self.id).map_or(0, |file| file.bytes.len() as u64))
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let state = self.disk.lock();
        state.alive()?;
        let bytes = state.files.get(&self.id).map_or(&[][..], |file| &file.bytes);
        let rest = bytes.get(at as usize..).unwrap_or_default();
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.alive()?;
        let length = state.files.get(&self.id).map_or(0, |file| file.bytes.len() as u64);
        let full = state.faults.full && at + bytes.len() as u64 > length;
        let taken = if full { Err(state.full()) } else { state.changes() };
        let part = match &taken {
            Ok(()) => bytes.len(),
            // Some of it is there.
            Err(_) => state.chance.below(bytes.len() + 1),
        };
        state.note("write", &self.path, part as u64);
        self.with(&mut state, |file| file.write(&bytes[..part], at));
        taken
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.changes()?;
        state.note("cut", &self.path, bytes);
        self.with(&mut state, |file| file.cut(bytes));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.changes()?;
        state.note("sync", &self.path, 0);
        self.with(&mut state, File::sync);
        Ok(())
    }
}
