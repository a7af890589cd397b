//! The WebAssembly Micro Runtime (WAMR), set up as Fluent Bit sets it up: fast interpreter, WASI, no SIMD, 8 KiB of
//! operand stack and as much heap of the host's. A module that passes here passes there.
//!
//! Only with the feature `runtime`: it compiles the runtime from the source that the crate `wamrx-sys` brings.

#![cfg(feature = "runtime")]
#![expect(unsafe_code, reason = "the runtime is a C library")]

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

use wamrx_sys as sys;

/// Fluent Bit's default for `wasm_stack_size`, and the least that it takes: bytes for the operands and frames of the
/// interpreter.
pub const STACK_BYTES: u32 = 8192;

/// Fluent Bit's default for `wasm_heap_size`, and the least that it takes: bytes that the runtime adds to the module's
/// memory. Not used where the module exports `malloc` and `free`.
pub const HEAP_BYTES: u32 = 8192;

/// Where the runtime puts what is wrong.
type ErrorBuffer = [c_char; 128];

/// Whether the runtime has been started; held while a module is loaded, which touches what all modules share. It is
/// never ended: instances may be left.
static STARTED: Mutex<bool> = Mutex::new(false);

/// A module, instantiated.
///
/// After a trap it can be called again, as Fluent Bit since 4.1 does: its memory and globals are as the trap left them.
pub struct Instance {
    // In the order in which they are given back.
    exec_env: Handle<sys::WASMExecEnv>,
    instance: Handle<sys::WASMModuleInstanceCommon>,
    _module: Handle<sys::WASMModuleCommon>,
    /// The runtime reads names and data in them for as long as the module is loaded.
    _binary: Vec<u8>,
    _directories: Vec<CString>,
    _directory_list: Vec<*const c_char>,
}

// SAFETY: the runtime ties nothing of an instance to the thread that made it (bounds are not checked by signals): each
// call notes its thread in the execution environment first. What instances share is guarded by the runtime's own locks
// and by `STARTED`. An `Instance` is used through `&mut self`, by one thread at a time.
unsafe impl Send for Instance {}

/// What the runtime made, given back when dropped.
struct Handle<T> {
    start: NonNull<T>,
    give_back: unsafe extern "C" fn(*mut T),
}

impl<T> Handle<T> {
    fn new(start: *mut T, give_back: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(start).map(|start| Self { start, give_back })
    }

    fn get(&self) -> *mut T {
        self.start.as_ptr()
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // SAFETY: `start` came from the function that belongs to this one, and is given back once: here.
        unsafe { (self.give_back)(self.get()) }
    }
}

impl Instance {
    /// Loads and instantiates a module; its `_initialize` runs. It may read in `directory` and calls it by this name.
    /// Its memory can grow to `max_memory_bytes`.
    ///
    /// # Errors
    /// Why the runtime refuses it, or that its start failed.
    pub fn new(module: &[u8], directory: Option<&Path>, max_memory_bytes: usize) -> Result<Self, String> {
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        if !*started {
            start()?;
            *started = true;
        }
        thread_ready()?;
        let mut binary = module.to_vec();
        let mut error: ErrorBuffer = [0; 128];
        let size = u32::try_from(binary.len()).map_err(|_| "the module is larger than 4 GiB".to_owned())?;
        let error_size = error.len() as u32;
        // SAFETY: both buffers live and have the lengths given; `binary` is kept, unmoved on the heap, for as long as the
        // module is loaded.
        let module =
            unsafe { sys::wasm_runtime_load(binary.as_mut_ptr(), size, error.as_mut_ptr(), error_size) };
        let module = Handle::new(module, sys::wasm_runtime_unload).ok_or_else(|| text(&error))?;

        let directories = directory
            .map(|directory| CString::new(directory.as_os_str().as_bytes()))
            .transpose()
            .map_err(|_| "the directory's name has a NUL".to_owned())?;
        let directories = Vec::from_iter(directories);
        let mut directory_list: Vec<*const c_char> = directories.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the module is loaded. The list and the strings in it are kept for as long as it is; the runtime only
        // reads them. The other lists are empty, and the last arguments are this process's standard streams.
        unsafe {
            sys::wasm_runtime_set_wasi_args_ex(
                module.get(),
                directory_list.as_mut_ptr(),
                directory_list.len() as u32,
                ptr::null_mut(),
                0,
                ptr::null_mut(),
                0,
                ptr::null_mut(),
                0,
                0,
                2,
                2,
            );
        }
        let arguments = sys::InstantiationArgs {
            default_stack_size: STACK_BYTES,
            host_managed_heap_size: HEAP_BYTES,
            max_memory_pages: (max_memory_bytes / 0x10000) as u32,
        };
        // SAFETY: the module is loaded and the buffer has the length given.
        let instance = unsafe {
            sys::wasm_runtime_instantiate_ex(
                module.get(),
                &raw const arguments,
                error.as_mut_ptr(),
                error_size,
            )
        };
        let instance = Handle::new(instance, sys::wasm_runtime_deinstantiate).ok_or_else(|| text(&error))?;
        // SAFETY: the instance lives.
        let exec_env = unsafe { sys::wasm_runtime_create_exec_env(instance.get(), STACK_BYTES) };
        let exec_env = Handle::new(exec_env, sys::wasm_runtime_destroy_exec_env)
            .ok_or("the runtime has no memory for a stack")?;
        Ok(Self {
            exec_env,
            instance,
            _module: module,
            _binary: binary,
            _directories: directories,
            _directory_list: directory_list,
        })
    }

    /// Calls an exported function that takes these `i32` and gives one.
    ///
    /// # Errors
    /// That there is no such function, or why it trapped.
    pub fn call<const N: usize>(&mut self, name: &CStr, arguments: [u32; N]) -> Result<u32, String> {
        thread_ready()?;
        // SAFETY: the instance lives and the name ends.
        let function = unsafe { sys::wasm_runtime_lookup_function(self.instance.get(), name.as_ptr()) };
        let function =
            NonNull::new(function).ok_or_else(|| format!("it does not export {}", name.to_string_lossy()))?;
        // SAFETY: function and instance live and belong together.
        let (takes, gives) = unsafe {
            (
                sys::wasm_func_get_param_count(function.as_ptr(), self.instance.get()),
                sys::wasm_func_get_result_count(function.as_ptr(), self.instance.get()),
            )
        };
        // One cell each, unless there are wider types among them: room for those, too.
        let mut cells = vec![0_u32; 2 * N.max(1)];
        for (cell, argument) in cells.iter_mut().zip(arguments) {
            *cell = argument;
        }
        if takes as usize != N || gives > 1 {
            return Err(format!(
                "its {} takes {takes} arguments and gives {gives} results",
                name.to_string_lossy()
            ));
        }
        // SAFETY: the environment belongs to the instance, no call of it is under way (`&mut self`), and `cells` has
        // room for the arguments and the result whatever their width.
        let done = unsafe {
            sys::wasm_runtime_call_wasm(self.exec_env.get(), function.as_ptr(), N as u32, cells.as_mut_ptr())
        };
        if done { Ok(cells.first().copied().unwrap_or_default()) } else { Err(self.exception()) }
    }

    /// Copies bytes into a buffer that the module's `malloc` gives, and returns its address.
    ///
    /// # Errors
    /// Why there is none.
    pub fn hand_over(&mut self, bytes: &[u8]) -> Result<u32, String> {
        thread_ready()?;
        // SAFETY: the instance lives, and `bytes` has the length given.
        let address = unsafe {
            sys::wasm_runtime_module_dup_data(self.instance.get(), bytes.as_ptr().cast(), bytes.len() as u64)
        };
        match u32::try_from(address) {
            Ok(address) if address != 0 => Ok(address),
            _ => Err(format!("malloc has no {} bytes: {}", bytes.len(), self.exception())),
        }
    }

    /// Gives back a buffer that [`hand_over`](Self::hand_over) got.
    pub fn free(&mut self, address: u32) {
        // SAFETY: the instance lives; whatever the address, it is the module's own `free` that gets it.
        unsafe { sys::wasm_runtime_module_free(self.instance.get(), u64::from(address)) }
    }

    /// The NUL-terminated string at an address, without the NUL.
    ///
    /// # Errors
    /// Where there is none.
    pub fn string(&self, address: u32) -> Result<&[u8], String> {
        let invalid =
            || format!("the result's address, {address}, is outside of the memory, or no NUL follows");
        // SAFETY: the instance lives.
        let valid =
            unsafe { sys::wasm_runtime_validate_app_str_addr(self.instance.get(), u64::from(address)) };
        if !valid {
            // SAFETY: the instance lives. A failed check leaves an exception behind, which is no trap's.
            unsafe { sys::wasm_runtime_clear_exception(self.instance.get()) };
            return Err(invalid());
        }
        // SAFETY: the instance lives.
        let start = unsafe { sys::wasm_runtime_addr_app_to_native(self.instance.get(), u64::from(address)) };
        let start = NonNull::new(start).ok_or_else(invalid)?;
        // SAFETY: the runtime has found a NUL behind the address within the memory, which neither moves nor changes as long
        // as nothing is called, for which `&self` is borrowed here.
        Ok(unsafe { CStr::from_ptr(start.as_ptr().cast()) }.to_bytes())
    }

    /// What the memory has grown to, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        // SAFETY: the instance lives, and so does its memory, if it has one.
        let pages = unsafe {
            let memory = sys::wasm_runtime_get_default_memory(self.instance.get());
            if memory.is_null() { 0 } else { sys::wasm_memory_get_cur_page_count(memory) }
        };
        usize::try_from(pages).unwrap_or(usize::MAX).saturating_mul(0x10000)
    }

    /// Takes away the exception that the last call left, and says what it was.
    fn exception(&mut self) -> String {
        // SAFETY: the instance lives. The text is the instance's and copied before it is cleared.
        unsafe {
            let exception = sys::wasm_runtime_get_exception(self.instance.get());
            let text = if exception.is_null() {
                "no reason given".to_owned()
            } else {
                CStr::from_ptr(exception).to_string_lossy().into_owned()
            };
            sys::wasm_runtime_clear_exception(self.instance.get());
            text.trim_start_matches("Exception: ").to_owned()
        }
    }
}

fn start() -> Result<(), String> {
    let mut arguments =
        sys::RuntimeInitArgs { mem_alloc_type: sys::Alloc_With_System_Allocator, ..Default::default() };
    // SAFETY: the arguments are complete: zero is the default of all others.
    let started = unsafe { sys::wasm_runtime_full_init(&raw mut arguments) };
    if started { Ok(()) } else { Err("the runtime does not start".to_owned()) }
}

/// What the runtime asks of each thread that calls it, once.
fn thread_ready() -> Result<(), String> {
    // SAFETY: the runtime has been started: there is no instance otherwise, and `Instance::new` starts it before.
    let ready = unsafe { sys::wasm_runtime_thread_env_inited() || sys::wasm_runtime_init_thread_env() };
    if ready { Ok(()) } else { Err("the runtime has no memory for a thread".to_owned()) }
}

fn text(error: &ErrorBuffer) -> String {
    let bytes: Vec<u8> = error.iter().map(|&c| c.cast_unsigned()).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
